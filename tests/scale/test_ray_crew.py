"""What is done about workers that die, and about addresses where no cluster is."""

from __future__ import annotations

import socket

import pytest

from galago.errors import MissingExtraError, OptionError
from galago.scale.ray_crew import RayCrew, _Job, _shared_out
from galago.scale.ray_start import check_there
from galago.scale.rows import Batch
from galago.scale.worker import Work
from tests.helpers.rays import need_ray
from tests.helpers.tables import lacking, raws

WORK = Work("mobileclip2-nano", threads=1)


def test_pictures_whose_workers_died_are_tried_whole_then_in_halves_then_alone() -> None:
    eight = raws(*[b""] * 8)
    (again,) = _shared_out(_Job(eight))  # type: ignore[misc]
    assert again == _Job(eight, 1)
    halves = _shared_out(again)
    assert [job.chunk for job in halves] == [eight[:4], eight[4:]]  # type: ignore[union-attr]
    one = _Job(eight[:1], 1)
    for deaths in (2, 3):
        (one,) = _shared_out(one)  # type: ignore[misc]
        assert one.deaths == deaths and one.weight == 2  # nothing beside it
    end = _shared_out(one)
    assert isinstance(end, Batch)
    (row,) = end.rows
    assert row.name == b"0" and row.error
    assert row.error.startswith("whoever looks at it dies (4 times)")


def test_of_a_fatal_picture_in_a_chunk_the_others_are_done() -> None:
    todo, rows, lost, deaths = [_Job(raws(*[b""] * 64))], 0, [], 0
    while todo:
        job = todo.pop()
        if all(item.name != b"37" for item in job.chunk):
            rows += len(job.chunk)
            continue
        deaths += 1
        end = _shared_out(job)
        if isinstance(end, Batch):
            lost += [row.name for row in end.rows]
        else:
            todo += end
    assert rows == 63 and lost == [b"37"] and deaths < 15


def test_an_address_where_nobody_is() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(OptionError, match=f"no cluster answers at {address}"):
            check_there(address)
    with pytest.raises(OptionError, match="give local, auto, HOST:PORT"):
        check_there("127.0.0.1:port")


def test_without_ray_a_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, "ray")
    with pytest.raises(MissingExtraError, match="--ray needs Ray; to install the extra cluster"):
        RayCrew(WORK, "local").__enter__()


def test_workers_larger_than_this_machine_are_refused() -> None:
    crew = RayCrew(Work("mobileclip2-nano", threads=9999), "local")
    with pytest.raises(OptionError, match="--threads 9999 .* processors of this machine"):
        crew.__enter__()


def test_a_model_that_workers_cant_open_is_a_line() -> None:
    need_ray()
    with (
        RayCrew(Work("no/such-model", threads=1, offline=True), "local") as crew,
        pytest.raises(OptionError, match="no/such-model is not on this machine"),
    ):
        _ = crew.made
