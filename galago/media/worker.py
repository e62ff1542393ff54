"""The process in which a stranger's picture is opened: it may be stopped, or stop itself.

`galago.media.pool` starts it and speaks with it over pipes.  A message is two lengths, a head (a
JSON object) and a body (bytes): nothing that comes back is ever run, whatever the picture did to
the process that opened it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import IO, Any

from galago.errors import GalagoError, MissingExtraError, OptionError, UnopenedError
from galago.media.about import about
from galago.media.images import date_taken, load_grey, load_square, thumbnail
from galago.media.stills import still_at, stills
from galago.memory import private, resident
from galago.specs import ImageSpec

__all__ = ["receive", "send", "serve"]

Head = dict[str, Any]
Body = bytes | bytearray | memoryview

_LENGTHS = struct.Struct("<IQ")
_MAX_HEAD = 1 << 16
_KEPT = 256 << 20  # bytes; a process that holds more after a picture is replaced by a new one


def send(stream: IO[bytes], head: Head, body: Body = b"") -> None:
    """Write one message.  OSError when nobody reads any more."""
    text = json.dumps(head).encode("ascii")
    stream.write(_LENGTHS.pack(len(text), len(body)) + text)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes], most: int) -> tuple[Head, bytes]:
    """Read one message whose body has at most so many bytes.

    Raises EOFError at its end or when it is cut, ValueError for what is no message.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if head_bytes > _MAX_HEAD or body_bytes > most:
        raise ValueError("a message that is too long")
    head = json.loads(_exactly(stream, head_bytes))
    if not isinstance(head, dict):
        raise ValueError("a message without a head")
    return head, _exactly(stream, body_bytes)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def serve(seconds: float, memory: int) -> None:
    """Open pictures until nobody asks any more; this process takes no more than it is given.

    `seconds` of the processor a picture (where the system counts them), `memory` in bytes above
    what it takes to begin (Linux).
    """
    asking = sys.stdin.buffer
    with _own_stdout() as answering:
        _confine(memory)
        while True:
            try:
                head, body = receive(asking, sys.maxsize)
            except EOFError:
                return
            _limit_seconds(seconds * head.get("patience", 1))
            found, data = _answer(head, body)
            found["last"] = resident() > _KEPT
            send(answering, found, data)
            if found["last"]:
                return


@contextlib.contextmanager
def _own_stdout() -> Any:
    """The pipe to whoever asks; what decoders print goes nowhere."""
    with os.fdopen(os.dup(1), "wb") as answering:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield answering


def _confine(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks
    if os.name == "nt":
        return
    import resource

    # It writes no file and leaves no core behind.
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        _lower(what, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, private() + memory)


def _lower(what: int, bound: int) -> None:
    import resource

    hard = resource.getrlimit(what)[1]
    if hard == resource.RLIM_INFINITY or bound <= hard:
        resource.setrlimit(what, (bound, bound))


def _limit_seconds(seconds: float) -> None:
    """From now on; the system ends the process (SIGXCPU) when they are used up."""
    if os.name == "nt":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    bound = int(used.ru_utime + used.ru_stime + seconds) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard == resource.RLIM_INFINITY or bound <= hard:
        resource.setrlimit(resource.RLIMIT_CPU, (bound, hard))


def _answer(head: Head, body: bytes) -> tuple[Head, Body]:
    source = os.fsdecode(body) if head["path"] else body
    try:
        return _DO[head["do"]](source, head)
    except MissingExtraError as error:
        return {"error": error.what, "kind": "extra", "extra": error.extra}, b""
    except GalagoError as error:
        kinds = {"option": OptionError, "unopened": UnopenedError}
        kind = next((name for name, kind in kinds.items() if isinstance(error, kind)), "")
        return {"error": str(error), "kind": kind}, b""
    except MemoryError:
        return {"error": f"{head['name'] or 'the picture'} needs too much memory"}, b""


def _square(source: str | bytes, head: Head) -> tuple[Head, Body]:
    spec = ImageSpec(**head["spec"])
    square = load_square(source, spec, name=head["name"], **head["how"])
    shown = {"size": square.size, "page": square.page, "pages": square.pages}
    shown["taken"] = square.taken
    return {"side": len(square.pixels), **shown}, square.pixels.data.cast("B")


def _thumbnail(source: str | bytes, head: Head) -> tuple[Head, Body]:
    if "second" in head:
        image = still_at(os.fsdecode(source), head["second"], name=head["name"])
        return {}, thumbnail(image, head["side"], name=head["name"])
    return {}, thumbnail(source, head["side"], name=head["name"], **head["how"])


def _grey(source: str | bytes, head: Head) -> tuple[Head, Body]:
    grey, size = load_grey(source, head["side"], name=head["name"])
    return {"size": size}, grey.data.cast("B")


def _taken(source: str | bytes, head: Head) -> tuple[Head, Body]:
    return {"taken": date_taken(source, name=head["name"])}, b""


def _about(source: str | bytes, head: Head) -> tuple[Head, Body]:
    found = about(source, name=head["name"])
    return {"size": found.size, "taken": found.taken}, b""


def _stills(source: str | bytes, head: Head) -> tuple[Head, Body]:
    found = stills(os.fsdecode(source), head["side"], head["most"])
    shapes = [(still.second, *still.pixels.shape[:2]) for still in found]
    return {"stills": shapes}, b"".join(still.pixels.tobytes() for still in found)


_DO: dict[str, Callable[[str | bytes, Head], tuple[Head, Body]]] = {
    "square": _square,
    "thumbnail": _thumbnail,
    "grey": _grey,
    "taken": _taken,
    "about": _about,
    "stills": _stills,
}
