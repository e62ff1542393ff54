"""Pictures become rows once, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from galago.errors import OptionError, StorageError
from galago.scale import table as tables
from galago.scale.crew import Chunk
from galago.scale.embed import Summary, embed
from galago.scale.items import Item
from galago.scale.rows import Made
from tests.helpers.tables import FakeCrew, KeptTable, Raw, raws


@pytest.fixture
def table(tmp_path: Path) -> Callable[[], KeptTable]:
    """The same table, opened anew as by another process."""
    kept: dict[str, Any] = {}
    return lambda: KeptTable(tmp_path, kept)


def names(table: KeptTable) -> list[str]:
    return sorted(name.decode() for name in table.names())


def numbered(count: int) -> list[Item]:
    return raws(*[b""] * count)


def test_every_picture_is_a_row_and_then_none_is_done_again(table: Any) -> None:
    crew = FakeCrew()
    summary = embed(numbered(10), table(), lambda: crew, batch=4)
    assert (summary.new, summary.known, summary.failed) == (10, 0, 0)
    assert [len(chunk) for chunk in crew.chunks] == [4, 4, 2] and crew.closed
    assert names(table()) == sorted(map(str, range(10)))

    def nobody() -> FakeCrew:
        raise AssertionError("there is nothing to do: no model is to be opened")

    again = embed(numbered(10), table(), nobody)
    assert (again.new, again.known, again.done) == (0, 10, 10)
    assert again.made == crew.made


def test_new_pictures_among_old_ones(table: Any) -> None:
    embed(numbered(3), table(), FakeCrew)
    crew = FakeCrew()
    summary = embed(numbered(5), table(), lambda: crew)
    assert (summary.new, summary.known) == (2, 3) and crew.chunks == [[b"3", b"4"]]


def test_a_limit_is_of_new_pictures(table: Any) -> None:
    assert embed(numbered(9), table(), FakeCrew, limit=4).new == 4
    assert embed(numbered(9), table(), FakeCrew, limit=4).new == 4
    assert embed(numbered(9), table(), FakeCrew, limit=4).new == 1
    assert len(names(table())) == 9


def test_a_picture_that_is_named_twice_is_one_row(table: Any) -> None:
    summary = embed([*numbered(3), *numbered(3)], table(), FakeCrew, batch=2)
    assert (summary.new, summary.repeated) == (3, 3) and len(names(table())) == 3
    # Of what is a row already no second note is kept: it is there before as often as it is named.
    later = embed([*numbered(3), *numbered(3)], table(), FakeCrew)
    assert (later.known, later.repeated, later.new) == (6, 0, 0)


def test_errors_are_rows_and_what_fails_now_is_tried_again(table: Any) -> None:
    items = [Item(name, Raw(b"")) for name in (b"1", b"2-bad", b"3-later")]
    summary = embed(items, table(), FakeCrew)
    assert (summary.new, summary.failed, summary.unread) == (2, 1, 1)
    assert summary.errors == [(b"2-bad", "no picture")]
    assert summary.later == [(b"3-later", "not now")]
    again = embed(items, table(), FakeCrew)
    assert (again.known, again.new, again.unread) == (2, 0, 1)


class Killed(BaseException):
    """As SIGKILL: nothing is put in order."""


def test_whoever_is_killed_whenever_no_picture_is_lost_or_two(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS", 16)
    chance = random.Random(7)
    killed = 0
    while True:
        one = table()

        def meddle(chunk: Chunk, one: KeptTable = one) -> None:
            if chance.random() < 0.15:
                one._held.clear()  # what was in its memory is gone
                raise Killed

        try:
            embed(numbered(200), one, lambda: FakeCrew(meddle=meddle), batch=4)
            break
        except Killed:
            killed += 1
    assert killed > 3
    assert names(one) == sorted(map(str, range(200)))


def test_a_stop_writes_what_was_done(table: Any) -> None:
    def stop(chunk: Chunk) -> None:
        if chunk[0].name == b"8":
            raise KeyboardInterrupt

    crew = FakeCrew(meddle=stop)
    with pytest.raises(KeyboardInterrupt):
        embed(numbered(20), table(), lambda: crew, batch=4)
    assert len(names(table())) == 8 and crew.closed


def test_a_table_of_another_model_is_refused_before_any_work(table: Any) -> None:
    embed(numbered(2), table(), FakeCrew)
    other = FakeCrew(Made("other", "other-1", 4))
    with pytest.raises(OptionError, match="holds vectors of fake, not other"):
        embed(numbered(4), table(), lambda: other)
    assert other.chunks == [] and other.closed and len(names(table())) == 2


def test_two_at_once_are_refused(table: Any) -> None:
    first = table()
    with first.writing(), pytest.raises(StorageError, match="another galago is writing"):
        embed(numbered(2), table(), FakeCrew)
    assert embed(numbered(2), table(), FakeCrew).new == 2


def test_the_lock_goes_with_its_run(table: Any, tmp_path: Path) -> None:
    embed(numbered(2), table(), FakeCrew)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_written_now_and_then(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 10)
    one = table()
    embed(numbered(32), one, FakeCrew, batch=4)
    assert one._kept["writes"] == 3 and one.finished  # 12, 12, 8
    now = iter(range(0, 1000, 3))
    monkeypatch.setattr(tables.time, "monotonic", lambda: next(now))
    embed(numbered(40), other := table(), FakeCrew, batch=1)
    assert other._kept["writes"] > 4  # as seconds pass, too


def test_progress_is_told_of_every_batch(table: Any) -> None:
    heard: list[tuple[int, int]] = []

    def report(summary: Summary) -> None:
        heard.append((summary.done, summary.new))

    embed(numbered(3), table(), FakeCrew)
    embed(numbered(8), table(), FakeCrew, batch=2, report=report)
    assert heard == [(5, 2), (7, 4), (8, 5)]


@pytest.mark.parametrize(("batch", "limit"), [(0, None), (1, -1)])
def test_numbers_that_cant_be(table: Any, batch: int, limit: int | None) -> None:
    with pytest.raises(OptionError, match="--batch takes a number from 1"):
        embed(numbered(1), table(), FakeCrew, batch=batch, limit=limit)
