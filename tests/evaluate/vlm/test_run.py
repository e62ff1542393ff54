"""Long tasks in steps: nothing is asked twice, and all are judged together."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from galago.evaluate.vlm.data import DataSet
from galago.evaluate.vlm.harness import ANSWERS, FAILED, Found, HarnessError, Route
from galago.evaluate.vlm.run import Note, Place, asked, place_of
from galago.evaluate.vlm.tasks import tasks_named

(POPE,) = tasks_named("pope")
ROUTE = Route("plugin", "galago", "")


class FakeHarness:
    """A task of `size` questions, and the runs that were made of it."""

    def __init__(self, size: int, stop: int | None = None, said: str = "yes") -> None:
        self.size, self._stop, self._said = size, stop, said
        self.runs: list[tuple[int, int | None]] = []

    def run(
        self,
        task: Any,
        route: Route,
        folder: Path,
        limit: int | None,
        offset: int = 0,
        asked: Callable[[int, int], None] = lambda done, total: None,
    ) -> Found:
        if len(self.runs) == self._stop:
            raise KeyboardInterrupt
        if offset >= self.size:
            raise HarnessError("no docs")
        self.runs.append((offset, limit))
        end = self.size if limit is None else min(self.size, offset + limit)
        asked(1, end - offset)
        samples = [{"doc_id": at, "filtered_resps": self._said} for at in range(offset, end)]
        return Found({}, tuple(samples), self.size)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_small_task_is_asked_in_one_run(place: Place) -> None:
    harness = FakeHarness(12)
    assert len(asked(harness, POPE, ROUTE, place, None).samples) == 12
    assert len(harness.runs) == 1
    assert len(asked(harness, POPE, ROUTE, place, 5).samples) == 5
    assert harness.runs[1:] == [(0, 5)]


def test_a_long_one_in_steps_and_once_more_together(place: Place) -> None:
    harness, heard = FakeHarness(5000), []
    found = asked(harness, POPE, ROUTE, place, None, lambda *both: heard.append(both))
    assert len(found.samples) == 5000 and harness.runs[-1] == (0, None)
    assert harness.runs[0] == (0, 32)
    ends = [offset + (limit or 0) for offset, limit in harness.runs[:-1]]
    assert [offset for offset, _ in harness.runs[1:-1]] == ends[:-1]
    assert heard[0] == (1, None) and (32, 5000) in heard


def test_steps_are_of_some_minutes(place: Place) -> None:
    place.keep(Note(100, 5000, 2.0))
    assert place.note().next() == 400  # ten minutes of two seconds
    place.keep(Note(100, 5000, 60.0))
    assert place.note().next() == 132  # but not fewer than the first


def test_a_stopped_one_goes_on_where_it_was(place: Place) -> None:
    place.keep(Note(1000, 5000, 1.0))
    with pytest.raises(KeyboardInterrupt):
        asked(FakeHarness(5000, stop=1), POPE, ROUTE, place, None)
    assert place.note().asked == 1600  # the step of before
    place.keep(Note(1600, 5000, 1.0))
    harness = FakeHarness(5000)
    assert len(asked(harness, POPE, ROUTE, place, None).samples) == 5000
    assert harness.runs[0] == (1600, 600) and harness.runs[-1] == (0, None)


def test_a_whole_one_is_judged_again_without_a_step(place: Place) -> None:
    place.keep(Note(50, 50, 1.0))
    harness = FakeHarness(50)
    assert len(asked(harness, POPE, ROUTE, place, None).samples) == 50
    assert harness.runs == [(0, None)]


def test_a_damaged_note_is_none(place: Place) -> None:
    for text in ("", "[]", '{"asked": "x"}'):
        (place.folder / "asked.json").write_text(text)
        assert place.note() == Note()


def test_answers_that_did_not_come_are_forgotten(place: Place) -> None:
    file = place.folder / ANSWERS / "cache.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE responses (response TEXT)")
        said = [(f'"{FAILED} after 2 retries] no"',), ('"yes"',), ('"LMMS EVAL"',)]
        db.executemany("INSERT INTO responses VALUES (?)", said)
        db.commit()
    (file.parent / "strange.db").write_text("no database")
    asked(FakeHarness(3, said=f"{FAILED} after"), POPE, ROUTE, place, None)
    with closing(sqlite3.connect(file)) as db:
        left = {text for (text,) in db.execute("SELECT response FROM responses")}
    assert left == {'"yes"', '"LMMS EVAL"'}


def test_a_place_is_of_a_model_and_its_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    here = DataSet("lmms-lab-encoder/POPE", data, "one")
    identity = {"model": "me/mine", "weights": "a"}
    with ExitStack() as held:
        every = [
            held.enter_context(place_of(tmp_path, POPE, identity, here, again=False)),
            held.enter_context(
                place_of(tmp_path, POPE, {**identity, "weights": "b"}, here, again=False)
            ),
            held.enter_context(
                place_of(tmp_path, POPE, identity, DataSet(here.name, data, "two"), again=False)
            ),
        ]
    assert len({one.folder for one in every}) == 3
    (every[0].folder / "kept").touch()
    with place_of(tmp_path, POPE, identity, here, again=False) as same:
        assert (same.folder / "kept").exists()
    with place_of(tmp_path, POPE, identity, here, again=True) as again:
        assert again == same and not (again.folder / "kept").exists()
        assert (again.folder / here.name).samefile(data)


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    asked = (tmp_path, POPE, {"model": "me"}, DataSet("lmms-lab-encoder/POPE", data, "one"))
    waits = threading.Event()
    order: list[object] = []

    def second() -> None:
        with place_of(*asked, again=True, waiting=waits.set) as place:
            order.append((place.folder / "answered").exists())

    thread = threading.Thread(target=second)
    with place_of(*asked, again=False) as place:
        thread.start()
        assert waits.wait(60)
        (place.folder / "answered").touch()  # nobody forgets what is being answered
        order.append("first")
    thread.join(60)
    assert order == ["first", False]
