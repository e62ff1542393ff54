"""What a hub answers, believed only in the forms that a hub has for it.

A mirror, or somebody on the way to the hub, may answer anything. What becomes part of a path, or
what a download is compared with, is taken in its strict form or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from galago.errors import HubError

__all__ = [
    "bounded",
    "checked_commit",
    "checked_digest",
    "checked_files",
    "checked_name",
    "checked_size",
    "no_downgrade",
    "not_understood",
]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 200  # letters of a file's name: file systems take 255 bytes
_OUTSIDE = frozenset('/\\:*?"<>|')  # separators, drives and streams of any system, and wildcards
# What Windows takes for a device, whatever its ending and case.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
_MODEL = 1 << 50  # bytes, more than any model has
_ANSWER = 32 << 20  # bytes of what is said about a model, unpacked: some have a few hundred kB
_FILES = 5000  # of a repository; models of many parts have some hundreds
_CHECK = "check the network, and HF_ENDPOINT if it is set"


def checked_commit(value: Any) -> str:
    """A revision's hash, which names a folder: 40 hexadecimal digits. HubError otherwise."""
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise _refused(value, "as its revision, which is no commit")
    return value


def checked_name(value: str) -> str:
    """The name of a file that is to lie right in a model's folder, on any system. HubError."""
    if (
        not value.isprintable()
        or not 0 < len(value) <= _LONGEST
        or _OUTSIDE & set(value)
        or value[0] in ". "
        or value[-1] in ". "
        or _DEVICE.fullmatch(value)
        or value.casefold().endswith(".part")  # ours, of what is half fetched
    ):
        raise _refused(value, "as a file's name, which it can't be")
    return value


def checked_size(value: Any, name: str) -> int:
    """The bytes of a file. HubError for what is no size."""
    if type(value) is not int or not 0 <= value < _MODEL:
        raise _refused(value, f"as the size of {name}")
    return value


def checked_digest(value: Any, name: str) -> str:
    """The SHA-256 of a large file. HubError for what is none."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise _refused(value, f"as the hash of {name}")
    return value


def checked_files(siblings: Any) -> list[Any]:
    """What a repository is said to hold. HubError for more files than any model has."""
    files = list(siblings or [])
    if len(files) > _FILES:
        raise HubError(
            f"the hub names {len(files)} files, more than any model has; nothing was fetched: "
            f"{_CHECK}"
        )
    return files


def bounded(response: Any) -> None:
    """Let an answer that is read whole raise HubError when it doesn't end.

    Files are streamed and not read so: those are bounded by their size.
    """
    whole, pieces = response.read, response.iter_bytes

    def counted() -> Iterator[bytes]:
        size = 0
        for piece in pieces():
            size += len(piece)
            if size > _ANSWER:
                raise HubError(
                    f"the hub's answer has more than {_ANSWER >> 20} MB, as none has: {_CHECK}"
                )
            yield piece

    def read() -> bytes:
        response.iter_bytes = counted
        try:
            return bytes(whole())
        finally:
            response.iter_bytes = pieces

    response.read = read


def not_understood(name: str) -> HubError:
    """For an answer of another form than a hub's."""
    return HubError(f"the hub's answer about {name} isn't understood: {_CHECK}")


def no_downgrade(response: Any) -> None:
    """HubError for an answer over https that sends the client on to an unprotected address."""
    if not response.has_redirect_location or response.request.url.scheme != "https":
        return
    onward = response.request.url.join(response.headers["location"])
    if onward.scheme != "https":
        raise HubError(
            f"the hub sent galago on to {str(onward)[:80]!a}, which is not https: {_CHECK}"
        )


def _refused(value: Any, what: str) -> HubError:
    return HubError(f"the hub gave {str(value)[:80]!a} {what}; nothing was fetched: {_CHECK}")
