"""Files of text that people bring: what they must be before their lines are looked at."""

from __future__ import annotations

import os
from pathlib import Path

from galago.disk import is_pointer, is_regular
from galago.errors import OptionError

__all__ = ["check_text_file", "short"]

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def check_text_file(path: str, *, utf16: bool = False) -> str:
    """The encoding of a file; OptionError for no file, an empty, compressed or foreign one."""
    if not os.path.lexists(path):
        raise OptionError(f"no such file: {path}")
    if not is_regular(Path(path)):
        raise OptionError(f"{path} is not a file")
    try:
        with open(path, "rb") as file:
            head = file.read(200)
    except OSError as error:
        raise OptionError(f"{path} can't be read: {error.strerror}") from None
    if not head.strip():
        raise OptionError(f"{path} is empty")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise OptionError(f"{path} is compressed: unpack it first")
    if is_pointer(head):
        raise OptionError(f"{path} is a pointer of Git LFS: run `git lfs pull` in its folder")
    if head.startswith(_UTF16) and utf16:
        return "utf-16"
    if head.startswith(_UTF16) or b"\0" in head:
        raise OptionError(f"{path} is not UTF-8 (it has zero bytes); save it in that encoding")
    return "utf-8-sig"


def short(error: BaseException) -> str:
    """An error's words, as a part of a line."""
    return " ".join(str(error).split())[:120] or type(error).__name__
