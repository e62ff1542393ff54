"""Good requests, malformed ones and attacks, all at once, while others ask whether it is there."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.load.bombs import bomb
from tests.load.fuzz import malformed
from tests.load.process import URLS, Server, question, stream

__all__ = ["mixed"]

CLIENTS = 8
# Asks /health five times a second until its input ends; then writes how long each took.
_PROBE = """
import http.client, json, select, sys, time
took = []
while not select.select([sys.stdin], [], [], 0.2)[0]:
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()
    took.append(time.monotonic() - began)
json.dump(took, sys.stdout)
"""


def mixed(server: Server, count: int, seed: int) -> dict[str, Any]:
    """Statuses by kind, how long /health took meanwhile, and memory with all its processes."""
    over = threading.Event()
    memory: list[float] = []

    def watch() -> None:
        while not over.wait(0.2):
            memory.append(_tree(server.process.pid))

    def one(at: int) -> str:
        return _one(server, random.Random(seed * 1_000_000 + at))

    began = time.monotonic()
    # In a process of its own: the clients here hold each other up, making bodies of megabytes.
    command = [sys.executable, "-c", _PROBE, str(server.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as probe:
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            watcher = pool.submit(watch)
            statuses = Counter(pool.map(one, range(count)))
            over.set()
            watcher.result(90)
        health = json.loads(probe.communicate()[0])
    third = len(memory) // 3
    return {
        "requests": count,
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "statuses": dict(sorted(statuses.items())),
        "health_median": round(statistics.median(health), 4),
        "health_worst": round(max(health), 3),
        "memory_second_third_mb": round(statistics.mean(memory[third : 2 * third])),
        "memory_last_third_mb": round(statistics.mean(memory[-third:])),
        "memory_peak_mb": round(max(memory)),
        "still_active": server.figure("galago_queue_active"),
        "same_process": server.process.poll() is None,
    }


def _one(server: Server, random_: random.Random) -> str:
    drawn = random_.random()
    if drawn < 0.55:
        return f"good {stream(server, question(random_, 20)).status}"
    if drawn < 0.9:
        path, body = malformed(random_)
        return f"malformed {server.ask('POST', path, body, timeout=120).status}"
    name, body = _attack(random_)
    path = "/v1/embeddings" if "input" in body else "/v1/chat/completions"
    return f"attack {name} {server.ask('POST', path, body, timeout=120).status}"


def _attack(random_: random.Random) -> tuple[str, dict[str, Any]]:
    """Its name, and a body."""
    if random_.random() < 0.4:
        name, url = bomb(random_)
        return name, {"model": "", "input": [url]}
    message = {"role": "user", "content": [{"type": "text", "text": "?"}]}
    kinds: dict[str, dict[str, Any]] = {
        "numbers": {"input": [0] * 1_000_000},
        "texts": {"input": ["word " * 20_000] * 256},
        "empty texts": {"input": [""] * 500_000},
        "stops": {"messages": [message], "stop": ["x"] * 1_000_000},
        "parts": {"messages": [{"role": "user", "content": [0] * 2_000_000}]},
        "messages": {"messages": [message] * 50_000},
        "pictures": {"input": [random_.choice(URLS)] * 300},
        "keys": {"input": "a", **{f"k{at}": 0 for at in range(300_000)}},
    }
    name = random_.choice(list(kinds))
    return name, {"model": "", **kinds[name]}


def _tree(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children += (task / "children").read_text().split()
        except OSError:  # it ended meanwhile
            continue
    pages = 0
    for one in {str(pid), *children}:
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * 4096 / 1e6
