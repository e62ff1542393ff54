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


def test_turns_are_fair() -> None:
    order: list[str] = []
    hold = threading.Event()

    async def run() -> None:
        scheduler = Scheduler(1, 20, 60)

        def work(name: str) -> Any:
            def once() -> Iterator[None]:
                hold.wait(10)
                order.append(name)
                yield None

            return once

        jobs = [scheduler.submit(name[0], work(name)) for name in ("a0", "a1", "a2", "a3", "b0")]
        hold.set()
        for job in jobs:
            async for _ in job.items():
                pass
        scheduler.stop(5)

    asyncio.run(run())
    assert order == ["a0", "a1", "b0", "a2", "a3"] or order == ["a0", "b0", "a1", "a2", "a3"]
