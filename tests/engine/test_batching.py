"""Decoding together: the same logits as alone, however replies come, go and fail."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.vlm import open_checkpoint
from galago.engine.batching import BatchedCache, BatchedDecoder
from galago.engine.vlm_sessions import LanguageSession
from tests.helpers.checkpoints import tiny_llava
from tests.helpers.running import TEXT, embeds, language_session
from tests.helpers.waiting import until


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> LanguageSession:
    source = open_checkpoint(tiny_llava(tmp_path_factory.mktemp("m") / "tiny", text=TEXT))
    return language_session(source)


class Reply:
    """A sequence fed bit by bit to a row, and to a cache alone to compare with."""

    def __init__(self, session: LanguageSession, together: BatchedDecoder, seed: int) -> None:
        self.inputs = embeds(60, seed)
        self.row, self.alone = together.new_cache(), session.new_cache()
        self.feed(3 + 5 * seed)

    @property
    def token(self) -> np.ndarray:
        return self.inputs[self.row.length : self.row.length + 1]

    def feed(self, count: int = 1) -> None:
        part = self.inputs[self.row.length : self.row.length + count]
        self.check(self.row.append(part), part)

    def check(self, found: np.ndarray, part: np.ndarray) -> None:
        assert np.allclose(found, self.alone.append(part), atol=1e-4)

    def truncate(self, length: int) -> None:
        self.row.truncate(length)
        self.alone.truncate(length)


def step(together: BatchedDecoder, replies: list[Reply]) -> None:
    """One step of these replies, as their threads would take it."""
    asked = {one.row: one.token for one in replies}
    for one, logits in zip(replies, together._batch.step(asked), strict=True):
        one.check(logits, asked[one.row])
        one.row.length += 1


def test_rows_come_and_go_in_any_order(session: LanguageSession) -> None:
    together = BatchedDecoder(session)
    replies = [Reply(session, together, seed) for seed in range(5)]
    rng = random.Random(5)
    for _ in range(14):
        step(together, rng.sample(replies, rng.randint(1, 5)))
        one = rng.choice(replies)
        if rng.random() < 0.3:
            one.truncate(one.row.length - 2)
        if rng.random() < 0.3:
            one.feed(rng.randint(2, 4))
    assert together._batch.places  # so rows did sit together


def test_who_stays_is_not_copied(session: LanguageSession, monkeypatch: pytest.MonkeyPatch) -> None:
    together = BatchedDecoder(session)
    replies = [Reply(session, together, seed) for seed in range(3)]
    step(together, replies)
    monkeypatch.setattr("galago.engine.batching.write_state", forbidden)
    step(together, replies)
    step(together, [replies[2], replies[0], replies[1]])


def forbidden(*_: object) -> None:
    raise AssertionError("the state of rows that stay was written anew")


def test_a_reply_alone_decodes_in_its_own_cache(session: LanguageSession) -> None:
    together = BatchedDecoder(session)
    reply = Reply(session, together, 1)
    for _ in range(3):
        reply.feed()
    assert not together._batch.places and reply.row.alone.length == reply.row.length


def in_threads(work: Callable[[int], None], count: int) -> list[BaseException]:
    failed: list[BaseException] = []

    def run(at: int) -> None:
        try:
            work(at)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return failed


def test_threads_get_what_they_would_get_alone(session: LanguageSession) -> None:
    together = BatchedDecoder(session)
    replies = [Reply(session, together, seed) for seed in range(6)]
    sizes: list[int] = []
    run = together._batch.step

    def counted(asked: dict[BatchedCache, Any]) -> Any:
        sizes.append(len(asked))
        return run(asked)

    together._batch.step = counted  # type: ignore[method-assign]
    fed: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {at: [] for at in range(6)}

    def work(at: int) -> None:
        one = replies[at]
        for _ in range(10 + 3 * at):
            part = one.token
            fed[at].append((one.row.append(part), part))
        one.row.rest()

    assert in_threads(work, 6) == []
    for at, one in enumerate(replies):
        for found, part in fed[at]:
            one.check(found, part)
    assert max(sizes) >= 4 and len(sizes) < sum(sizes)


def test_a_reader_that_pauses_holds_nobody_up(session: LanguageSession) -> None:
    together = BatchedDecoder(session)
    quick, slow = Reply(session, together, 1), Reply(session, together, 2)
    go = threading.Barrier(2)
    done = threading.Event()

    def work(at: int) -> None:
        one = (quick, slow)[at]
        go.wait()
        for _ in range(3):
            one.row.append(one.token)
        if one is quick:
            for _ in range(5):
                one.row.append(one.token)
            done.set()
        else:
            assert done.wait(30)
            one.row.append(one.token)

    assert in_threads(work, 2) == []


def test_a_finished_reply_is_not_waited_for(session: LanguageSession) -> None:
    together = BatchedDecoder(session)
    replies = [Reply(session, together, seed) for seed in range(2)]
    assert in_threads(lambda at: replies[at].feed(), 2) == []
    for one in replies:
        one.row.rest()
    assert not together._awaited


def test_a_step_that_fails_fails_for_all_its_replies_and_no_other(
    session: LanguageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = BatchedDecoder(session)
    replies = [Reply(session, together, seed) for seed in range(3)]
    step(together, replies)
    monkeypatch.setattr(session, "run", broken)
    taken = {one.row: one.token for one in replies[:2]}
    told = together._run(taken)
    assert set(told) == set(taken) and all(isinstance(t, MemoryError) for t in told.values())
    monkeypatch.undo()
    for _ in range(2):
        replies[2].feed()
    step(together, [replies[2], Reply(session, together, 4)])


def broken(*_: object) -> None:
    raise MemoryError("no room for the step")


def test_a_row_can_leave_while_others_step(session: LanguageSession) -> None:
    together = BatchedDecoder(session)
    leaver, other = (Reply(session, together, seed) for seed in range(2))
    step(together, [leaver, other])
    run = together._batch.step

    def late(asked: dict[BatchedCache, Any]) -> Any:
        assert until(lambda: together._turn._waiters)  # type: ignore[attr-defined]
        return run(asked)

    together._batch.step = late  # type: ignore[method-assign]

    def work(at: int) -> None:
        if at == 0:
            other.feed()
            return
        assert until(lambda: together._leader is not None)
        leaver.feed(2)

    assert in_threads(work, 2) == []


@pytest.mark.parametrize("place", ["_lead", "_run"])
def test_an_interrupt_beside_a_step_leaves_nobody_waiting(
    session: LanguageSession, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    together = BatchedDecoder(session)
    replies = [Reply(session, together, seed) for seed in range(3)]
    together._awaited = {one.row for one in replies}  # so that one step is for all
    once = threading.Lock()

    def interrupted(self: BatchedDecoder, *given: Any) -> Any:
        if not once.acquire(blocking=False):
            return real(self, *given)
        waiters = together._turn._waiters  # type: ignore[attr-defined]
        assert until(lambda: len(waiters) >= 2)  # the others, for the step
        raise KeyboardInterrupt

    real = getattr(BatchedDecoder, place)
    monkeypatch.setattr(BatchedDecoder, place, interrupted)
    failed = in_threads(lambda at: replies[at].feed(), 3)
    assert {type(error) for error in failed} == {KeyboardInterrupt} and together._leader is None


def test_an_interrupt_while_another_steps_leaves_no_answer_behind(
    session: LanguageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = BatchedDecoder(session)
    leader, follower = (Reply(session, together, seed) for seed in range(2))
    together._awaited = {leader.row, follower.row}
    running, interrupted = threading.Event(), threading.Event()
    run, answered = together._run, together._answered

    def slow(asked: Any) -> Any:
        running.set()
        assert interrupted.wait(30)
        return run(asked)

    def broken_off(row: BatchedCache) -> bool:
        if row is not follower.row:
            return answered(row)
        assert running.wait(30)
        interrupted.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(together, "_run", slow)
    monkeypatch.setattr(together, "_answered", broken_off)
    failed = in_threads(lambda at: (leader, follower)[at].feed(), 2)
    assert [type(error) for error in failed] == [KeyboardInterrupt]
    assert not together._told and not together._asked and together._leader is None
