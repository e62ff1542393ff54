"""Turns, a full queue, time that is over, and clients that go away."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from galago.server.problems import Problem
from galago.server.scheduler import Scheduler
from tests.helpers.serving import Reply, Served, ask, serving, user
from tests.helpers.waiting import until


def test_who_goes_away_stops_the_work(served: Served) -> None:
    """Told by steps: with nobody waiting, few of them end what would take two thousand."""
    path = f"{served.url}/v1/chat/completions"
    for streamed in (True, False):
        steps = 0

        def over() -> bool:
            nonlocal steps
            steps += 1
            served.language.step()
            return served.active == 0

        body = {"messages": [user("Talk")], "max_tokens": 2000, "stream": streamed}
        data = json.dumps(body).encode()
        asked = urllib.request.Request(path, data, {"Content-Type": "application/json"})
        with served.language.held():
            if streamed:
                urllib.request.urlopen(asked, timeout=30).close()
            else:  # gone before the answer began
                with pytest.raises(TimeoutError):
                    urllib.request.urlopen(asked, timeout=0.3)
            assert until(over) and steps < 100, "no circle of the babble ended it: that takes 128"


def test_a_full_queue_says_when_to_come_again(folder: Path) -> None:
    with serving(folder, parallel=1, queue=1) as served:
        body = {"model": "fake", "messages": [user("Talk")], "max_tokens": 4}
        replies: list[Reply] = []
        threads = [
            threading.Thread(
                target=lambda: replies.append(ask(f"{served.url}/v1/chat/completions", body))
            )
            for _ in range(5)
        ]
        with served.language.held():
            for thread in threads:
                thread.start()
            assert until(lambda: len(replies) == 3)
        for thread in threads:
            thread.join()
    statuses = [reply.status for reply in replies]
    assert statuses == [429, 429, 429, 200, 200]
    full = replies[0]
    assert int(full.headers["Retry-After"]) >= 1
    assert full.json["error"]["type"] == "rate_limit_error"


def test_a_request_ends_when_its_time_is_over(folder: Path) -> None:
    with serving(folder, timeout=0.5) as served, served.language.held():
        body = {"model": "fake", "messages": [user("Talk")], "max_tokens": 1000}
        late = ask(f"{served.url}/v1/chat/completions", body)
        assert late.status == 504 and late.json["error"]["code"] == "timeout"
        assert until(lambda: served.language.step() or served.active == 0)
        body = {**body, "messages": [user("Tell me something else")], "stream": True}
        cut = ask(f"{served.url}/v1/chat/completions", body)
        assert cut.status == 200 and b'"timeout"' in cut.body and b"[DONE]" not in cut.body
        assert until(lambda: served.language.step() or served.active == 0)


def order_of(parallel: int, queue: int, *names: str) -> tuple[list[str], list[str]]:
    """Jobs of `client.user.number` that were worked on, in order, and those refused."""
    order: list[str] = []
    refused: list[str] = []
    hold = threading.Event()

    async def run() -> None:
        scheduler = Scheduler(parallel, queue, 60)

        def work(name: str) -> Any:
            def once() -> Iterator[None]:
                hold.wait(10)
                order.append(name)
                yield None

            return once

        async def whole(name: str, job: Any) -> None:
            try:
                async for _ in job.items():
                    pass
            except Problem as problem:
                assert problem.status == 429
                refused.append(name)

        jobs = []
        for name in ("first", *names):  # taken at once, and held
            client, _, user = name.partition(".")
            try:
                jobs.append((name, scheduler.submit(client, user, work(name))))
            except Problem as problem:
                assert problem.status == 429
                refused.append(name)
            while scheduler.active == 0:
                await asyncio.sleep(0.001)
        hold.set()
        await asyncio.gather(*(whole(*one) for one in jobs))
        assert scheduler.waiting == 0
        scheduler.stop(5)

    asyncio.run(run())
    return order[1:], refused


def test_turns_are_fair() -> None:
    order, _ = order_of(1, 20, "a.0", "a.1", "a.2", "b.0", "a.2", "b.0")
    assert order == ["a.0", "b.0", "a.1", "b.0", "a.2", "a.2"]  # names don't give turns


def test_users_of_one_address_take_turns() -> None:
    assert order_of(1, 20, "a.x", "a.x", "a.x", "a.y")[0] == ["a.x", "a.y", "a.x", "a.x"]


def test_no_address_holds_the_whole_queue() -> None:
    many = [f"a.{at}" for at in range(12)]
    order, refused = order_of(1, 8, *many, "b.0", "b.1", "b.2")
    assert order == ["a.0", "b.0", "a.1", "b.1", "a.2", "a.3", "a.4", "a.5"]
    assert refused == [*many[6:], "b.2"]


def test_who_has_none_waiting_finds_a_place_in_a_full_queue() -> None:
    names = ["a.x", "a.x", "a.y", "b.x", "c.x", "d.x", "e.x", "f.x"]
    order, refused = order_of(1, 4, *names)
    # c takes the place of a's last, d that of a's other user; then everybody has one
    assert order == ["a.x", "b.x", "c.x", "d.x"]
    assert sorted(refused) == ["a.x", "a.y", "e.x", "f.x"]
