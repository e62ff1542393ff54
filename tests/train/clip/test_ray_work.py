"""Tasks by actors of Ray (the extra cluster): what is told of the dead, the bad and the absent."""

from __future__ import annotations

import functools
import socket
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from galago.errors import GalagoError, OptionError
from galago.train.clip.ray_work import _Actor, _Work, ray_work
from galago.train.clip.recipe import Recipe
from galago.train.clip.reinforce import reinforce
from galago.train.clip.sources import tasks
from galago.train.clip.workers import Told
from galago.version import __version__
from tests.helpers.ray_tasks import begin
from tests.helpers.rays import need_ray
from tests.helpers.reinforced import write_shards


def done(folder: Path, given: Sequence[str], deaths: int = 0) -> list[Told]:
    need_ray()
    return list(ray_work(functools.partial(begin, str(folder), deaths), given, "local", 2))


def test_an_address_that_doesnt_answer_is_a_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    made = tasks(str(write_shards(tmp_path / "in", [1])), 1)
    recipe = Recipe(("galago:mobileclip2-nano",))
    with pytest.raises(OptionError, match=f"no cluster answers at 127.0.0.1:{port}"):
        reinforce(made, tmp_path / "out", recipe, 1, ray=f"127.0.0.1:{port}")


def test_a_node_with_another_galago_is_refused_by_its_name(tmp_path: Path) -> None:
    told = _Actor().begin(functools.partial(begin, str(tmp_path), 0), "9.9")
    line = f"{socket.gethostname()} has galago {__version__} and this machine 9.9: install one"
    assert told[0] == "broken" and told[1].startswith(line)


class Cluster:
    """Ray as far as actors are called: nodes with so many GPUs, and what was asked for."""

    def __init__(self, *gpus: int) -> None:
        held = [{"CPU": 4.0} | ({"GPU": float(count)} if count else {}) for count in gpus]
        self._nodes = [{"Alive": True, "Resources": one} for one in held]
        self.asked: list[dict[str, Any]] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [*self._nodes, {"Alive": False, "Resources": {"CPU": 9.0, "GPU": 9.0}}]

    def remote(self, _: Any) -> Any:
        def options(**asked: Any) -> Any:
            self.asked.append(asked)
            return SimpleNamespace(remote=lambda: SimpleNamespace(begin=begun))

        begun = SimpleNamespace(remote=lambda *_: None)
        return SimpleNamespace(options=options)


@pytest.mark.parametrize(
    "nodes, gpu, actors, has",
    [((2, 1, 0), True, 3, True), ((2, 1), False, 8, False), ((0, 0), True, 8, False)],
)
def test_an_actor_that_needs_a_gpu_has_one_where_there_are(
    nodes: tuple[int, ...], gpu: bool, actors: int, has: bool
) -> None:
    cluster = Cluster(*nodes)
    _Work(cluster, lambda _: lambda *_: None, ["task"] * 20, 100, gpu)._call()
    assert len(cluster.asked) == actors
    assert all((one.get("num_gpus") == 1) is has for one in cluster.asked)


@pytest.mark.slow
def test_tasks_are_done_once_and_one_that_kills_its_actor_again(tmp_path: Path) -> None:
    told = done(tmp_path, ["a", "bad", "fatal", "b"], deaths=1)
    ends = sorted((one.kind, one.task) for one in told if one.kind in ("done", "failed", "killed"))
    assert ends == [
        ("done", "a"), ("done", "b"), ("done", "fatal"), ("failed", "bad"), ("killed", "fatal"),
    ]  # fmt: skip
    assert ("said", "a", "looks at a") in [(one.kind, one.task, one.what) for one in told]
    assert all((tmp_path / name).exists() for name in ("a", "b", "fatal"))


@pytest.mark.slow
def test_what_ends_the_work_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(GalagoError, match="fatal: an actor died twice in it"):
        done(tmp_path, ["fatal"], deaths=2)
    with pytest.raises(GalagoError, match="there is no room"):
        done(tmp_path, ["full"])


@pytest.mark.slow
@pytest.mark.model
def test_actors_write_what_processes_write(tmp_path: Path) -> None:
    need_ray()
    made = tasks(str(write_shards(tmp_path / "in", [2, 2, 2])), 1)
    recipe = Recipe(("galago:mobileclip2-nano",), augmentations=2)
    reinforce(made, tmp_path / "one", recipe, 1)
    (tmp_path / "other").mkdir()
    for name in ("00000.tar", "00000.stats.json", "reinforce.json"):
        (tmp_path / "other" / name).write_bytes((tmp_path / "one" / name).read_bytes())
    found = reinforce(made, tmp_path / "other", recipe, 2, ray="local")
    assert (found.made, found.found, found.rows) == (2, 1, 6)
    for name in ("00001.tar", "00002.tar"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
