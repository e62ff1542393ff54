"""Indexing that was begun on the page: its state, its end, and who goes first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from galago.album import Summary
from galago.errors import OptionError, StorageError
from galago.progress import Stage
from galago.server import indexing as room
from galago.server.indexing import Indexing
from galago.server.problems import Problem
from tests.helpers.serving import ask, serving
from tests.helpers.waiting import until


class Run:
    """Does what it is told, one step after the other."""

    def __init__(self, steps: Sequence[Callable[[Any, Any], None]]) -> None:
        self.tally = Summary()
        self.given_up = False
        self._steps = steps

    def go(self, report: Callable[[Stage, int, int], None]) -> None:
        for step in self._steps:
            step(self.tally, report)

    def give_up(self) -> None:
        self.given_up = True


class Indexer:
    def __init__(self, *steps: Callable[[Any, Any], None]) -> None:
        self.asked: list[list[str]] = []
        self.runs: list[Run] = []
        self._steps = steps

    def folders(self) -> list[str]:
        return ["/photos/caf\udce9"]

    def run(self, folders: Sequence[str]) -> Run:
        if "/nowhere" in folders:
            raise OptionError("there is no folder /nowhere; check the name")
        self.asked.append(list(folders))
        self.runs.append(Run(self._steps))
        return self.runs[-1]


def at_work(work: Indexing) -> bool:
    return work.state().running


def test_a_run_from_its_first_stage_to_what_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_SETTLED", 0)
    go = [threading.Event() for _ in range(3)]

    def waits(tally: Any, report: Any) -> None:
        report(Stage("waiting for another galago", lasting=True), 0, 0)
        report(Stage("waiting"), 0, 0)
        assert go[0].wait(30)

    def works(tally: Any, report: Any) -> None:
        report(Stage("indexing"), 0, 20)
        tally.failed.append(("/photos/caf\udce9.jpg", "damaged"))
        tally.unreadable["/photos/closed"] = "Permission denied"
        report(Stage("indexing"), 8, 20)
        assert go[1].wait(30)

    def ends(tally: Any, report: Any) -> None:
        tally.photos, tally.encoded, tally.known = 19, 18, 1
        report(Stage("indexing"), 20, 20)

    work = Indexing(Indexer(waits, works, ends), lambda: False)
    assert work.state().number == 0 and work.state().album == ["/photos/caf?"]
    work.begin("/photos")
    assert until(lambda: work.state().waiting)
    assert work.state().stage == "waiting for another galago" and not work.state().total
    go[0].set()
    assert until(lambda: work.state().done == 8)
    state = work.state()
    assert (state.running, state.waiting, state.total, state.bad) == (True, False, 20, 2)
    assert state.rate and state.left is not None and state.folders == ["/photos"]
    assert [(one.path, one.reason) for one in state.unread] == [
        ("/photos/caf?.jpg", "damaged"),
        ("/photos/closed", "Permission denied"),
    ]
    go[1].set()
    assert until(lambda: not at_work(work))
    last = work.state()
    assert last.result is not None and last.problem is None and last.rate is None
    assert (last.result.photos, last.result.new, last.result.bad) == (19, 18, 1)


def test_stopped_at_the_next_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def works(tally: Any, report: Any) -> None:
        for done in range(10**9):
            report(Stage("indexing"), done, 10**9)

    work = Indexing(Indexer(works), lambda: False)
    work.begin("/photos")
    assert until(lambda: work.state().done)
    work.stop()
    assert until(lambda: not at_work(work))
    assert work.state().stopped and work.state().problem is None and work.state().result is None


def test_who_is_answered_goes_first() -> None:
    busy = threading.Event()
    reports: list[int] = []

    def works(tally: Any, report: Any) -> None:
        for done in range(3):
            report(Stage("indexing"), done, 3)
            reports.append(done)

    work = Indexing(Indexer(works), busy.is_set)
    paused: list[float] = []
    monkey = work._work
    pause = monkey.pause

    def noted(seconds: float, until: Callable[[], bool]) -> None:
        paused.append(seconds)
        assert until() is not busy.is_set()
        pause(0, until)

    monkey.pause = noted  # type: ignore[method-assign]
    busy.set()
    work.begin("/photos")
    assert until(lambda: not at_work(work)) and reports == [0, 1, 2]
    # A batch waits no longer than the one before took, so that it can't starve either.
    assert len(paused) == 3 and max(paused) <= room._WAY


def test_two_tabs_begin_at_once_and_one_is_told(folder: Path) -> None:
    go = threading.Event()
    indexer = Indexer(lambda tally, report: go.wait(30))
    with serving(folder, parts={"indexer": indexer}) as served:
        with ThreadPoolExecutor(8) as pool:
            begin = [
                pool.submit(ask, f"{served.url}/api/index", {"folder": "/p"}) for _ in range(8)
            ]
            statuses = sorted(one.result().status for one in begin)
        assert statuses == [200] + [409] * 7
        told = ask(f"{served.url}/api/index", {"folder": "/p"}).json["error"]
        assert told["code"] == "under_way" and "under way" in told["message"]
        go.set()
        assert until(lambda: not ask(f"{served.url}/api/index").json["running"])


@pytest.mark.parametrize(
    ("folder_named", "told"),
    [
        ("/nowhere", "there is no folder"),
        ("Pictures", "name a whole path"),
        ("", "name a whole path"),
        ("/" + "a" * 5000, "at most 4096"),
    ],
)
def test_folders_that_cannot_be(folder: Path, folder_named: str, told: str) -> None:
    with serving(folder, parts={"indexer": Indexer()}) as served:
        reply = ask(f"{served.url}/api/index", {"folder": folder_named})
        assert reply.status == 400 and told in reply.json["error"]["message"]
        assert not ask(f"{served.url}/api/index").json["number"]


def test_a_name_that_is_no_text_arrives_as_it_was(folder: Path) -> None:
    indexer = Indexer()
    with serving(folder, parts={"indexer": indexer}) as served:
        reply = ask(f"{served.url}/api/index", {"folder": "/photos/caf\udce9"})
        assert reply.status == 200
    assert os.fsencode(indexer.asked[0][0]) == b"/photos/caf\xe9"


def test_a_full_disk_is_told_and_a_server_without_an_album_says_so(folder: Path) -> None:
    def full(tally: Any, report: Any) -> None:
        raise StorageError("the disk is full: make room")

    work = Indexing(Indexer(full), lambda: False)
    work.begin(None)
    assert until(lambda: not at_work(work))
    assert work.state().problem == "the disk is full: make room"
    with pytest.raises(Problem, match="no album to index"):
        Indexing(None, lambda: False).begin("/photos")


def test_a_server_that_stops_ends_the_run(folder: Path) -> None:
    def works(tally: Any, report: Any) -> None:
        while True:
            report(Stage("indexing"), 1, 2)

    indexer = Indexer(works)
    with serving(folder, parts={"indexer": indexer}) as served:
        assert ask(f"{served.url}/api/index", {"folder": "/p"}).json["running"]
    assert indexer.runs[0].given_up
    assert not [one for one in threading.enumerate() if one.name == "galago-indexing"]
