"""Pictures' URLs to bytes: data URLs as browsers read them, remote ones where they are allowed."""

from __future__ import annotations

import binascii
import re
import string
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from galago.server.problems import Problem

__all__ = ["Opener", "is_picture"]

_HEAD = 1000  # characters before the comma, at most
_BASE64 = re.compile(r";[ ]*base64\s*\Z", re.IGNORECASE)
_LETTERS = (string.ascii_letters + string.digits + "+/").encode()
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\f"
_NOT_BASE64 = "the data URL isn't valid base64"
_REMOTE = 8000  # characters of a remote address
_PIECE = 1 << 18  # bytes whose escapes are read at a time
_DIGIT = np.full(256, 16, np.uint8)  # what a hexadecimal digit means; 16: none
for _value, _digit in enumerate("0123456789abcdef"):
    _DIGIT[[ord(_digit), ord(_digit.upper())]] = _value


class Opener:
    """A picture's URL to its bytes.  `fetch` gets remote ones; without it they are refused."""

    def __init__(self, limit: int, fetch: Callable[[str], bytes] | None = None) -> None:
        self._limit = limit
        self._fetch = fetch

    def check(self, url: str, param: str) -> None:
        """Problem 400 for what can't be the URL of a picture; nothing is decoded or fetched yet."""
        scheme = url[:_HEAD].lstrip()[:8].partition(":")[0].lower()
        if scheme == "data":
            if "," not in url[:_HEAD]:
                told = "a data URL must begin with data:image/…;base64,"
                raise Problem(400, told, param=param, code="invalid_image_url")
            return
        if scheme not in ("http", "https"):
            told = "a picture must be a data URL: data:image/jpeg;base64,…"
            raise Problem(400, told, param=param, code="invalid_image_url")
        if self._fetch is None:
            raise Problem(
                400,
                "pictures are not fetched from other computers: send a data URL, or start the "
                "server with --allow-remote-images",
                param=param,
                code="remote_images_off",
            )
        if len(url) > _REMOTE:
            told = f"a picture's address may have {_REMOTE} characters"
            raise Problem(400, told, param=param, code="invalid_image_url")

    def open(self, url: str) -> bytes:
        """The bytes of a checked URL; Problem 400 when they aren't there."""
        comma = url.find(",", 0, _HEAD)
        if url[:_HEAD].lstrip()[:5].lower() != "data:":
            assert self._fetch is not None
            return self._fetch(url.strip())
        try:
            raw = _bytes_of(url[:comma], url[comma + 1 :])
        except UnicodeError:
            raise Problem(400, _NOT_BASE64, code="invalid_image") from None
        except ValueError as error:
            raise Problem(400, f"{_NOT_BASE64}: {error}", code="invalid_image") from None
        if not raw:
            raise Problem(400, "the data URL is empty", code="invalid_image")
        if len(raw) > self._limit:
            raise Problem(413, "the picture is too large", code="too_large")
        return raw


def is_picture(text: str) -> bool:
    """Whether a text that could be words or a picture is a picture's data URL."""
    head, comma, _ = text[:_HEAD].partition(",")
    head = head.lower()
    if not comma or not head.startswith("data:"):
        return False
    return head.startswith("data:image/") or _BASE64.search(head) is not None


def _bytes_of(head: str, data: str) -> bytes:
    """As https://fetch.spec.whatwg.org/#data-url-processor; the type told plays no part."""
    raw = data.encode()
    if b"#" in raw:
        raw = raw[: raw.find(b"#")]
    if b"%" in raw:
        raw = _unescaped(raw)
    return _forgiving(raw) if _BASE64.search(head) else raw


def _unescaped(data: bytes) -> bytes:
    """%41 as A, other per cent signs as they are, a piece at a time to bound the memory."""
    found, at = bytearray(), 0
    while at < len(data):
        end = min(at + _PIECE, len(data))
        cut = data.find(b"%", end - 2, end) if end < len(data) else -1
        end = end if cut < 0 else cut  # never between a per cent sign and its digits
        found += _unescaped_piece(np.frombuffer(data, np.uint8, end - at, at))
        at = end
    return bytes(found)


def _unescaped_piece(raw: NDArray[np.uint8]) -> bytes:
    digits = np.append(_DIGIT[raw], np.full(2, 16, np.uint8))
    escapes = (raw == ord("%")) & (digits[1:-1] < 16) & (digits[2:] < 16)
    letters = np.where(escapes, digits[1:-1] * 16 + digits[2:], raw)
    kept = np.ones(len(raw), bool)
    kept[1:] &= ~escapes[:-1]
    kept[2:] &= ~escapes[:-2]
    return letters[kept].tobytes()


def _forgiving(data: bytes) -> bytes:
    """Base64 by https://infra.spec.whatwg.org/#forgiving-base64-decode, and url-safe letters.

    Blanks don't count and the "=" at the end may be missing.  Raises ValueError.
    """
    data = data.translate(_URL_SAFE, _BLANKS)
    if data.endswith(b"="):
        data = data[:-2] + data[-2:].rstrip(b"=")
    if len(data) % 4 == 1:
        raise ValueError("it is cut off")
    if data.translate(None, _LETTERS):
        raise ValueError("it has other characters")
    data += b"=" * (-len(data) % 4)
    return binascii.a2b_base64(data)
