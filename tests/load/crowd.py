"""Many clients: two minutes with random cancellations, and how fast it goes with 1 to 16."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter
from typing import Any

from tests.load.process import URLS, Reply, Server, question, stream

CLIENTS = 16


def crowd(server: Server, seconds: float, seed: int) -> dict[str, Any]:
    """Statuses, first-token times and memory of `CLIENTS` clients that ask and go away at random.

    Memory is compared between the quarter after the first and the last quarter.
    """
    statuses: Counter[str] = Counter()
    first: list[float] = []
    memory: list[float] = []
    until = time.monotonic() + seconds
    lock = threading.Lock()

    def client(number: int) -> None:
        random_ = random.Random(seed * 1000 + number)
        while time.monotonic() < until:
            kind, reply = _one(server, random_)
            with lock:
                told = "gone" if reply.cancelled else str(reply.status)
                statuses[f"{kind} {told}"] += 1
                if reply.first is not None:
                    first.append(reply.first)
            if reply.status == 429:
                time.sleep(random_.uniform(0.1, 1))

    threads = [threading.Thread(target=client, args=(at,)) for at in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        memory.append(server.memory())
        time.sleep(1)
    for thread in threads:
        thread.join(90)
    stuck = sum(thread.is_alive() for thread in threads)
    time.sleep(2)
    quarter = len(memory) // 4
    return {
        "seconds": seconds,
        "seed": seed,
        "clients": CLIENTS,
        "requests": sum(statuses.values()),
        "statuses": dict(sorted(statuses.items())),
        "first_token_median": round(statistics.median(first), 3),
        "first_token_p95": round(sorted(first)[int(0.95 * len(first))], 3),
        "memory_by_eighths_mb": [round(memory[len(memory) * at // 8]) for at in range(8)],
        "memory_second_quarter_mb": round(statistics.mean(memory[quarter : 2 * quarter]), 1),
        "memory_last_quarter_mb": round(statistics.mean(memory[-quarter:]), 1),
        "memory_peak_mb": round(max(memory), 1),
        "stuck_clients": stuck,
        "still_active": server.figure("galago_queue_active"),
        "still_waiting": server.figure("galago_queue_waiting"),
    }


def _one(server: Server, random_: random.Random) -> tuple[str, Reply]:
    """One request of some kind."""
    drawn = random_.random()
    if drawn < 0.7:
        leave = random_.choice([0, 1, 2, 5, 10]) if random_.random() < 0.4 else None
        return "chat", stream(server, question(random_), leave)
    url = random_.choice(URLS)
    if drawn < 0.8:
        return "embeddings", server.ask("POST", "/v1/embeddings", {"input": ["a shoe", url]})
    if drawn < 0.9:
        body = {"image": url, "labels": ["a shoe", "a hand", "a note"]}
        return "classify", server.ask("POST", "/api/classify", body)
    return "page", server.ask("GET", "/api/page")


def rates(server: Server, seconds: float, tokens: int = 60) -> list[dict[str, Any]]:
    """Tokens a second in all, and the time to the first token, for 1 to 16 clients.

    Pictures are known after the first round, so this is prefill and decoding.
    """
    for url in range(len(URLS) * 3):
        stream(server, question(random.Random(url), tokens))
    rows = []
    for clients in (1, 2, 4, 8, 16):
        made, first = [0] * clients, []
        began = time.monotonic()
        until = began + seconds

        def client(number: int, made: list[int], first: list[float], until: float) -> None:
            random_ = random.Random(number)
            while time.monotonic() < until:
                reply = stream(server, question(random_, tokens))
                assert reply.status == 200, reply.body
                made[number] += reply.tokens
                first.append(reply.first or 0)

        threads = [
            threading.Thread(target=client, args=(at, made, first, until)) for at in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows.append(
            {
                "clients": clients,
                "answers": len(first),
                "tokens_per_second": round(sum(made) / (time.monotonic() - began), 1),
                "first_token_median": round(statistics.median(first), 3),
                "first_token_p95": round(sorted(first)[int(0.95 * len(first))], 3),
            }
        )
    return rows
