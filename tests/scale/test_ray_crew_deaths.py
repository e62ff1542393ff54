"""Workers that die, by a Ray that is none: every picture comes back once."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from galago.errors import OptionError
from galago.progress import Progress, Stage, silent
from galago.scale import ray_crew, ray_start
from galago.scale.crew import Chunk
from galago.scale.ray_crew import RayCrew
from galago.scale.rows import Row
from galago.scale.worker import Work
from tests.helpers.rays import FakeRay, RayError
from tests.helpers.tables import MADE, raws

WORK = Work("fake", threads=1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_crew, "_IDLE", 0.0)
    monkeypatch.setattr(ray_crew, "_LOOK", 0.0)


def worked(
    ray: FakeRay,
    count: int,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
    progress: Progress = silent,
) -> list[Row]:
    """The rows of so many pictures, called by their numbers."""
    monkeypatch.setattr(ray_start, "import_ray", lambda address: ray)
    items = raws(*[b""] * count)
    chunks = [items[start : start + size] for start in range(0, count, size)]
    with RayCrew(WORK, "local", progress) as crew:
        assert crew.made == MADE
        rows = [row for batch in crew.run(chunks) for row in batch.rows]
    assert ray.ended
    assert sorted(row.name for row in rows) == sorted(item.name for item in items)
    return rows


def test_workers_as_many_as_processors_with_two_chunks_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = FakeRay(cpus=3)
    worked(ray, 100, 4, monkeypatch)
    assert ray.born == 3 and ray.most == 2 and ray.killed == 3


def test_answers_of_a_thousand_workers_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(cpus=1000)
    worked(ray, 4000, 1, monkeypatch)
    assert ray.born == 1000 and ray.most == 2 and ray.waits < 100


def test_the_dead_are_replaced_and_their_pictures_done(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    ray = FakeRay(dies=lambda chunk: chance.random() < 0.1)
    told: list[Stage] = []
    rows = worked(ray, 400, 8, monkeypatch, lambda stage, _: told.append(stage))
    assert ray.born > 4 and all(row.error is None for row in rows)
    deaths = ray.born - ray.killed
    assert "died: others get what they had in hand" in told[0] and all(
        stage.lasting for stage in told
    )
    assert f"({deaths} so far; RayError)" in told[-1]


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("fatal", [b"0", b"37", b"99"])
def test_a_picture_that_kills_is_a_row_with_an_error_and_its_neighbours_are_done(
    cpus: int, fatal: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(chunk: Chunk) -> bool:
        return any(item.name == fatal for item in chunk)

    rows = worked(FakeRay(cpus, dies), 100, 16, monkeypatch)
    wrong = {row.name: row.error for row in rows if row.error is not None}
    assert list(wrong) == [fatal] and "dies (4 times)" in wrong[fatal]


def test_when_all_have_died_the_next_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(chunk: Chunk) -> bool:
        return chunk[0].name == b"3"

    rows = worked(FakeRay(1, dies, slow=5), 10, 1, monkeypatch)
    assert sum(row.error is not None for row in rows) == 1


def test_nodes_with_different_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    models = iter([MADE, replace(MADE, identity="fake-2"), MADE])
    ray = FakeRay(opened=lambda: next(models))
    with pytest.raises(OptionError, match="the nodes have different models called fake"):
        worked(ray, 10, 1, monkeypatch)
    assert ray.ended


def test_what_a_node_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(opened=lambda: "node7 has galago 0.0.9 and this machine 0.1.0")
    with pytest.raises(OptionError, match="node7 has galago 0.0.9"):
        worked(ray, 10, 1, monkeypatch)


def test_workers_that_die_at_birth_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened() -> None:
        raise RayError("no memory")

    ray = FakeRay(opened=opened)
    with pytest.raises(OptionError, match="5 workers died while they opened their models"):
        worked(ray, 10, 1, monkeypatch)


def test_an_actor_of_another_galago_says_so() -> None:
    told = ray_crew._Actor().open(WORK, "9.9")
    assert isinstance(told, str) and "and this machine 9.9: install one of them on all" in told
