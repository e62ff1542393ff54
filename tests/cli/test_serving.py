"""What a server's options come to, before anything is opened."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from galago.cli.options import Opening
from galago.cli.serve_workers import _check_memory
from galago.cli.serving import Serving, processors, threads_each
from galago.errors import OptionError

pytest.importorskip("fastapi")


def test_workers_share_the_processors() -> None:
    assert [threads_each(8, workers) for workers in (1, 2, 3, 8, 9)] == [8, 4, 2, 1, 1]
    assert all(workers * threads_each(16, workers) <= 16 for workers in range(1, 17))
    assert processors() >= 1


def test_a_worker_is_told_everything_by_json() -> None:
    serving = Serving(album="a", allow_host=["b"], api_key="k", grace=2.5)
    opening = Opening(model="fastvlm-nano", threads=3, resolution="auto", offline=True)
    told = json.loads(json.dumps([asdict(serving), asdict(opening)]))
    assert Serving(**told[0]) == serving and Opening(**told[1]) == opening


def test_more_workers_than_the_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.memory.available", lambda: 5 << 30)
    _check_memory(6, 1 << 30)
    with pytest.raises(OptionError, match="holds 3 of 6 workers .2.1 GB each.*--workers 3 or"):
        _check_memory(6, 2 << 30)
    monkeypatch.setattr("galago.memory.available", lambda: None)  # nobody knows
    _check_memory(6, 2 << 30)


def test_the_limits_of_a_server_follow_its_options() -> None:
    here = Serving(api_key=" k\n", allow_host=["name"], queue=3).settings(100)
    assert (here.api_key, here.hosts, here.any_address) == ("k", ("name",), False)
    assert (here.context, here.queue) == (100, 3)
    there = Serving(host="192.0.2.7", api_key="k", allow_host=["name"]).settings(100)
    assert there.any_address and {"192.0.2.7", "name"} <= set(there.hosts)
