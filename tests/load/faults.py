"""Faults: a killed server, clients that never finish, a full disk behind the log."""

from __future__ import annotations

import os
import random
import socket
import statistics
import threading
import time
from typing import Any

from tests.load.process import Server, question, stream


def killed() -> dict[str, Any]:
    """kill -9 in the middle of answers, then a start on the same port."""
    server = Server()
    asking = [threading.Thread(target=_quietly, args=(server, at), daemon=True) for at in range(4)]
    for thread in asking:
        thread.start()
    time.sleep(0.5)
    server.process.kill()
    server.process.wait()
    again = Server(port=server.port)
    reply = stream(again, question(random.Random(0)))
    code = again.stop()
    return {
        "restart_seconds": round(again.seconds, 2),
        "answer_after_restart": reply.status,
        "exit_code_of_sigterm": code,
    }


def _quietly(server: Server, number: int) -> None:
    try:
        while True:
            stream(server, question(random.Random(number)))
    except (OSError, ValueError):
        pass  # it has been killed
    except Exception:  # http.client has many words for a connection that broke
        pass


def slow(connections: int = 200) -> dict[str, Any]:
    """Clients that send their request a byte a second; others are answered meanwhile."""
    server = Server()
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
    began, health, closed = time.monotonic(), [], None
    for letter in b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n":
        for one in held:
            try:
                one.sendall(bytes([letter]))
            except OSError:
                closed = closed or time.monotonic() - began
        asked = time.monotonic()
        assert server.ask("GET", "/health").status == 200
        health.append(time.monotonic() - asked)
        if closed is not None:
            break
        time.sleep(1)
    answer = stream(server, question(random.Random(1)))
    for one in held:
        one.close()
    server.stop()
    return {
        "connections": connections,
        "health_slowest_seconds": round(max(health), 3),
        "health_median_seconds": round(statistics.median(health), 4),
        "cut_off_after_seconds": None if closed is None else round(closed, 1),
        "answer_meanwhile": answer.status,
    }


def full_disk() -> dict[str, Any]:
    """Every line of the log fails to be written."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open("/dev/full", "w", encoding="utf-8") as full:
        server = Server("--log", port=port, stderr=full)
        statuses = [stream(server, question(random.Random(at))).status for at in range(20)]
        alive = server.process.poll() is None
        code = server.stop()
    assert os.path.exists("/dev/full")
    return {"answers": len(statuses), "all_200": set(statuses) == {200}, "alive": alive,
            "exit_code_of_sigterm": code}  # fmt: skip
