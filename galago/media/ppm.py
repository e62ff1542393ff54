"""PPM and its kin, refused where Pillow would read them byte by byte."""

from __future__ import annotations

import re
from typing import IO

from galago.errors import ImageError

__all__ = ["check_ppm"]

# What a PPM and its kin begin with, and what ends a word there; a comment doesn't.
_PPM = re.compile(rb"P(?:0CMYK|yRGBA|yCMYK|(?:[1-6Ff]|yP)(?=\s))")
_PPM_COMMENT = re.compile(rb"#[^\r\n]*[\r\n]?")
_PPM_VALUE = 16  # bytes that a number written in digits takes at most, comments included


def check_ppm(stream: IO[bytes], head: bytes, label: str) -> None:
    """ImageError for a PPM that is mostly comments, which Pillow reads byte by byte.

    And for one whose numbers aren't plain digits: Pillow takes what Python's `int` does.
    """
    magic = _PPM.match(head)
    if magic is None:
        return
    stream.seek(0)
    start = stream.read(4096)
    end = stream.seek(0, 2)
    stream.seek(0)
    words = _PPM_COMMENT.sub(b"", start[magic.end() :]).split(maxsplit=3)
    if len(words) < 3 and end > len(start):
        raise ImageError(f"{label} begins with {len(start)} bytes of comments; save it as PNG")
    kind = magic[0][1:2]
    numbers = words[: 2 if kind in b"14Ff" else 3]  # bits have no maximum, floats' is one of them
    if not all(word.isdigit() and len(word) <= 10 for word in numbers):
        raise ImageError(f"{label} doesn't give its size in plain digits; save it as PNG")
    if kind in b"123" and len(numbers) >= 2:
        values = int(numbers[0]) * int(numbers[1]) * (3 if kind == b"3" else 1)
        if end > len(start) + _PPM_VALUE * values:
            raise ImageError(f"{label} holds more than its pixels; save it as PNG")
