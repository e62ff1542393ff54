"""What is to be left out: names, paths and globs, understood as in .gitignore.

    private          files and folders of this name, wherever they are
    *.tmp.jpg        the same with * (anything but a slash), ? (one letter) and [a-z]
    private/         folders alone
    a/private        this one in the folder that is indexed; **/private or a/**/b at any depth
    /disk/a/private  this place on the disk, or in the folder that is indexed

What is there under the very name, [ and all, is meant as it is written.
Names are compared as the system's own disks do: on Windows and macOS capitals are no difference.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from galago.errors import OptionError

__all__ = ["ANYWHERE", "Matcher", "is_sound", "matcher", "understood"]

ANYWHERE = "**/"  # of what is left out in any case: matched from the root of the disk on
_NO_CAPITALS = sys.platform in ("win32", "darwin")


@dataclass(frozen=True)
class _Pattern:
    """`whole` is matched with paths, otherwise names are."""

    text: str
    match: Callable[[str], object]
    whole: bool
    absolute: bool
    folders: bool


class Matcher:
    """Several patterns at once."""

    def __init__(self, texts: Iterable[str], everywhere: Collection[str] = ()) -> None:
        """`everywhere`: those of them that begin with **/ and are matched with absolute paths."""
        self._patterns = [_pattern(text) for text in texts]
        self._everywhere = frozenset(everywhere)
        names = [_as_regex(_body(one.text)) for one in self._patterns if not one.whole]
        self._any_name = _compiled("|".join(names)) if names else None
        self._paths = any(one.whole for one in self._patterns)

    def matching(self, root: str, path: str, real: str, is_folder: Callable[[], bool]) -> list[str]:
        """The patterns that leave out a path under a root; `real`: the path without links."""
        named = self._any_name is not None and self._any_name(_plain(os.path.basename(path)))
        if not named and not self._paths:
            return []
        return [one.text for one in self._patterns if self._fits(one, root, path, real, is_folder)]

    def _fits(
        self, one: _Pattern, root: str, path: str, real: str, is_folder: Callable[[], bool]
    ) -> bool:
        if not one.whole:
            fits = bool(one.match(_plain(os.path.basename(path))))
        else:
            inner = _plain(path[len(root) :]).strip("/")
            ways = [inner]
            if one.absolute:
                ways = [f"/{inner}", _plain(path), _plain(real)]
            elif one.text in self._everywhere:
                ways = [_plain(path).lstrip("/")]
            fits = any(one.match(way) for way in ways)
        return fits and (not one.folders or is_folder())


@lru_cache(64)
def matcher(texts: tuple[str, ...], everywhere: tuple[str, ...] = ()) -> Matcher:
    """A Matcher, made once."""
    return Matcher(texts, everywhere)


def understood(texts: Iterable[str], roots: Collection[str]) -> tuple[str, ...]:
    """Patterns as they are kept; a path into one of the folders to index is made absolute.

    Raises OptionError for what would not do what it says.
    """
    return tuple(dict.fromkeys(_sound(_understood(text, roots), text) for text in texts))


def is_sound(text: str) -> bool:
    """Whether a pattern can be matched with anything."""
    try:
        _pattern(text)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _sound(kept: str, text: str) -> str:
    if not is_sound(kept):
        raise OptionError(f"--skip {text} can't be understood: give a name, a path or a glob")
    return kept


def _understood(text: str, roots: Collection[str]) -> str:
    if os.sep == "\\":
        text = text.replace("\\", "/")
    body = _body(text)
    if not body.strip() or "\0" in text:
        raise OptionError(f"--skip {text!r} names nothing: give a name, a path or a glob")
    if text.startswith("!"):
        raise OptionError(f"--skip {text}: nothing can be taken in again with '!'; skip less")
    if "\\" in text:
        raise OptionError(f"--skip {text}: write [*] for a star that is meant as one, no backslash")
    if "/" not in body:
        return _escaped(text) if _is_there(body, roots) else text
    body = os.path.expanduser(body)
    end = "/" if text.endswith("/") else ""
    write = _escaped if _is_there(body, roots) else str
    if os.path.isabs(body):
        return _in_a_root(body, roots, write) + end
    there = body if write is _escaped else _literal(body)
    if _exists(there) and os.path.realpath(os.curdir) not in roots:
        # Named from where the person stands.
        placed = _in_a_root(os.path.abspath(body), roots, write)
        if any(placed.startswith(_as_written(root)) for root in roots):
            return placed + end
    parts = [write(part) for part in body.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OptionError(f"--skip {text} leads out of what is indexed; give the whole path")
    return "/".join(parts) + end if len(parts) > 1 else f"/{parts[0]}{end}"


def _exists(path: str) -> bool:
    return bool(path) and os.path.lexists(path)


def _is_there(body: str, roots: Collection[str]) -> bool:
    """Whether it is the very name of something, though it looks like a glob."""
    inner = body.lstrip("/")
    return "[" in body and any(
        _exists(place) for place in (body, *(os.path.join(root, inner) for root in roots))
    )


def _escaped(path: str) -> str:
    """The pattern that this path alone fits."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _as_written(root: str) -> str:
    """How the patterns of paths into a folder begin."""
    return _escaped(root.rstrip(os.sep)).replace(os.sep, "/")


def _literal(body: str) -> str:
    """The folders before the first one with a wildcard in it."""
    found = re.search(r"[*?\[]", body)
    return body[: found.start()].rpartition("/")[0] if found else body


def _in_a_root(path: str, roots: Collection[str], write: Callable[[str], str]) -> str:
    """An absolute path as the walk of the folder that it lies in will meet it, as a pattern.

    `write` makes a pattern of what is not the name of that folder.
    """
    path = os.path.normpath(path)
    at, inner = path, ""
    while True:
        real = os.path.realpath(at)
        if real in roots:
            if not inner:
                raise OptionError(f"--skip {path} is the folder to index itself")
            return f"{_as_written(real)}/{write(inner)}".replace(os.sep, "/")
        up, name = os.path.split(at)
        if up == at:
            return write(path).replace(os.sep, "/")
        at, inner = up, os.path.join(name, inner) if inner else name


def _body(text: str) -> str:
    return text.rstrip("/") if os.sep == "/" else text.replace("\\", "/").rstrip("/")


@lru_cache(256)
def _pattern(text: str) -> _Pattern:
    body = _body(text)
    absolute = body.startswith("/") or (os.path.isabs(body) and "/" in body)
    match = _compiled(_as_regex(body))
    return _Pattern(text, match, "/" in body, absolute, text.endswith(("/", os.sep)))


def _compiled(expression: str) -> Callable[[str], object]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if _NO_CAPITALS else 0)).fullmatch


def _plain(path: str) -> str:
    """As patterns are written: with slashes; macOS takes an accent apart from its letter or not."""
    if os.sep != "/":
        path = path.replace(os.sep, "/")
    return unicodedata.normalize("NFC", path) if sys.platform == "darwin" else path


def _as_regex(body: str) -> str:
    """A glob as a regular expression of the whole path or name."""
    parts = _plain(body).split("/")
    out = ""
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "**":
            out += ".+" if last else "(?:.*/)?"
        else:
            out += _part(part) + ("" if last else "/")
    return f"(?:{out})"


def _part(part: str) -> str:
    """A glob without slashes."""
    # Brackets hold one letter at least, which may be ]; others are letters themselves.
    wild = re.compile(r"\*+|\?|\[(?:[!^]|(?![!^])).[^\]]*\]|.", re.DOTALL)
    return "".join(_wild(found) for found in wild.findall(part))


def _wild(found: str) -> str:
    if found[0] == "*":
        return "[^/]*"
    if found == "?":
        return "[^/]"
    if found[0] != "[" or len(found) == 1:
        return re.escape(found)
    turned = found[1] in "!^"
    inside = _letters(found[2 if turned else 1 : -1])
    if not inside:
        return "[^/]" if turned else "(?!)"
    return f"(?!/)[{'^' if turned else ''}{inside}]"


def _letters(inside: str) -> str:
    """What stands in brackets, for a regular expression; ranges that run backward hold nothing."""
    ranges = re.findall(r"(.)-(.)|(.)", inside, re.DOTALL)
    out = ""
    for first, last, alone in ranges:
        if alone:
            out += re.escape(alone)
        elif first <= last:
            out += f"{re.escape(first)}-{re.escape(last)}"
    return out
