"""The other processes behind the same port, as one of them sees them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Scope

from galago.server.line import Head, Line

__all__ = ["Answered", "Asked", "Colleagues"]


@dataclass(frozen=True)
class Asked:
    """A request for another process: what its routes look at, and nothing else."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    client: str | None = None

    def scope(self) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode("ascii"),
            "root_path": "",
            "query_string": self.query.encode("latin-1"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in self.headers],
            "client": None if self.client is None else (self.client, 0),
            "server": None,
        }


@dataclass
class Answered:
    """What came back: headers but the length, and the whole body."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class Colleagues:
    """Asks the others, through the process that started all, and answers them.

    `number` is this one's, from 1 to `count`.
    """

    def __init__(self, number: int, count: int, line: Line) -> None:
        self.number, self.count = number, count
        self._line = line
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._asked = 0
        self._app: ASGIApp | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, app: ASGIApp) -> None:
        """From now on others are answered by this application, in the loop that runs here."""
        self._app, self._loop = app, asyncio.get_running_loop()

    async def ask(self, worker: int, asked: Asked, body: bytes, seconds: float) -> Answered | None:
        """What the worker of that number says; None when it isn't there, or not in time."""
        assert self._app is not None and self._loop is not None
        if worker == self.number:
            work: Awaitable[Answered] = _run(self._app, asked, body)
        else:
            work = self._elsewhere(worker, asked, body)
        try:
            answered = await asyncio.wait_for(work, seconds)
        except (TimeoutError, asyncio.TimeoutError):
            return None
        return answered if answered.status else None

    async def _elsewhere(self, worker: int, asked: Asked, body: bytes) -> Answered:
        self._asked += 1
        number = self._asked
        waiting: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        head = {"do": "ask", "number": number, "worker": worker, "asked": vars(asked)}
        self._line.say(head, body)
        try:
            return await waiting
        finally:
            del self._waiting[number]

    async def ask_all(self, asked: Asked, seconds: float) -> dict[int, Answered | None]:
        """The same of each, this one too."""
        numbers = range(1, self.count + 1)
        found = await asyncio.gather(*(self.ask(one, asked, b"", seconds) for one in numbers))
        return dict(zip(numbers, found, strict=True))

    def heard(self, head: Head, body: bytes) -> None:
        """A message of the line, in its thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its server has ended
                self._loop.call_soon_threadsafe(self._take, head, body)

    def _take(self, head: Head, body: bytes) -> None:
        assert self._loop is not None
        if head["do"] == "ask":
            task = self._loop.create_task(self._answer(head, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif head["do"] == "answer":
            waiting = self._waiting.get(head["number"])
            if waiting is not None and not waiting.done():
                headers = [(name, value) for name, value in head["headers"]]
                waiting.set_result(Answered(head["status"], headers, body))

    async def _answer(self, head: Head, body: bytes) -> None:
        assert self._app is not None
        given = head["asked"]
        asked = Asked(**{**given, "headers": tuple(map(tuple, given["headers"]))})
        try:
            found = await _run(self._app, asked, body)
        except Exception:  # the app has told its own already
            found = Answered()
        told = {"do": "answer", "number": head["number"], "worker": head["worker"]}
        self._line.say({**told, "status": found.status, "headers": found.headers}, found.body)


async def _run(app: ASGIApp, asked: Asked, body: bytes) -> Answered:
    """One request of the application in this process."""
    found, parts = Answered(), [body]
    pieces: list[bytes] = []

    async def receive() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        await asyncio.Event().wait()  # who asks doesn't go away
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.status = message["status"]
            found.headers = list(_decoded(message.get("headers", ())))
        else:
            pieces.append(message.get("body", b""))

    await app(asked.scope(), receive, send)
    found.body = b"".join(pieces)
    return found


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        if name.lower() != b"content-length":
            yield name.decode("latin-1"), value.decode("latin-1")
