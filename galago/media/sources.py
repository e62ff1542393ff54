"""Where a picture's bytes are: a path, bytes or a file object -> a stream that can be gone through.

Only files and pipes are read; a device never ends, and a pipe that nobody writes to never begins.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from pathlib import Path
from typing import IO, Any

from galago.errors import ImageError

__all__ = ["stream_of", "told_apart"]

_PATIENCE = 5.0  # seconds for somebody to begin writing to a named pipe
_SILENCE = 60.0  # seconds for whoever has begun to go on
_MOST = 1 << 30  # bytes taken from a pipe


def stream_of(source: Any, name: str | None) -> tuple[str, IO[bytes]]:
    """A label for messages and a readable, seekable stream that isn't empty.  Raises ImageError."""
    label, path, data = told_apart(source, name)
    return label, _filled(data, label) if path is None else _open_file(path, label)


def told_apart(source: Any, name: str | None) -> tuple[str, Path | None, bytes]:
    """A label for messages, and where the picture is: a path, or else its bytes.

    Of paths, bytes and file objects, which are read; ImageError for anything else.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        label = name or str(path)
        _check_name(path, label)
        return label, path, b""
    label = name or "the picture"
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif hasattr(source, "read"):
        try:
            data = source.read()
        except OSError as error:
            raise ImageError(f"{label} can't be read: {error.strerror or error}") from error
        if not isinstance(data, bytes):
            raise ImageError(f"{label} was opened as text; open it in binary mode ('rb')")
    else:
        raise ImageError(
            f"a picture can't be made from {type(source).__name__}; "
            "give a path, bytes, a file object, a PIL image or a uint8 array"
        )
    return label, None, data


def _check_name(path: Path, label: str) -> None:
    """ImageError for a path that no file can have, or that begins where there is nothing."""
    try:
        os.fsencode(os.path.abspath(path))
    except ValueError:  # half a character, which can't be printed either
        shown = label.encode("ascii", "backslashreplace").decode()
        raise ImageError(f"{shown} can't be read: no file can have that name") from None
    except OSError:
        raise ImageError(f"{label} can't be read: the working folder is gone") from None


def _filled(data: bytes, label: str) -> IO[bytes]:
    if not data:
        raise ImageError(f"{label} is empty (0 bytes)")
    return io.BytesIO(data)


def _open_file(path: Path, label: str) -> IO[bytes]:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ImageError(f"{label} is a folder, not a picture")
        if stat.S_ISFIFO(kind):  # picture decoders go back and forth
            return _filled(_read_pipe(path, label), label)
        if not stat.S_ISREG(kind):
            raise ImageError(f"{label} is a device or a socket, not a picture")
        stream = path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"no such picture: {label}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{label} can't be read: {reason}") from error
    if os.fstat(stream.fileno()).st_size == 0:
        stream.close()
        raise ImageError(f"{label} is empty (0 bytes)")
    return stream


def _read_pipe(path: Path, label: str) -> bytes:
    """All that is written to a pipe; ImageError when nobody begins to, or goes on."""
    data = bytearray()
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                piece = os.read(pipe, 1 << 20)
            except BlockingIOError:  # there is a writer, who may take their time
                if not select.select([pipe], [], [], _SILENCE)[0]:
                    raise ImageError(
                        f"{label} is a pipe whose writer has been silent for {_SILENCE:.0f} s"
                    ) from None
                continue
            if piece:
                data += piece
                if len(data) > _MOST:
                    raise ImageError(f"{label} gives more than a picture's bytes")
            elif data:
                return bytes(data)
            elif time.monotonic() > deadline:
                raise ImageError(f"{label} is a pipe that nobody writes to")
            else:
                time.sleep(0.01)
    finally:
        os.close(pipe)
