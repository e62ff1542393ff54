"""When something changes in an album's folders: the system says so (watchfiles, the extra `watch`).

A folder whose disk was taken away is left alone until it is back: what is seen in its place, an
empty folder or none, says nothing of its photos.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from galago.errors import MissingExtraError, OptionError, StorageError
from galago.places import albums_dir

__all__ = ["Presence", "follow", "import_watchfiles"]

_QUIET, _LONGEST = 1000, 10_000  # ms without a change, before those that came are told; at most
_LOOK = 3000  # ms between two looks at which folders are there
_OFTEN = 2.0  # seconds; what takes longer than this is given as long a rest
_LIMITS = ("limit", "Too many open files", "No space left")


class Presence:
    """Which of some folders are there, and are what they were."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._disk = {folder: _device(folder) for folder in folders}
        self._gap: dict[str, int | None] = {}  # of those that are away: what is in their place

    def there(self) -> frozenset[str]:
        """Those on their own disk, or back on another one; looked up now."""
        for folder, disk in self._disk.items():
            now = _device(folder)
            if folder not in self._gap:
                if now is None or now != disk:
                    self._gap[folder] = now if now is not None else _device_above(folder)
            elif now is not None and (now == disk or now != self._gap[folder]):
                del self._gap[folder]
                self._disk[folder] = now
        return frozenset(self._disk) - frozenset(self._gap)


def follow(
    folders: Collection[str],
    suffixes: Collection[str],
    *,
    report: Callable[[str, bool], None],
    stop: threading.Event | None = None,
    presence: Presence | None = None,
) -> Iterator[frozenset[str]]:
    """Those of the folders that are there, whenever files of these suffixes in them have changed.

    Changes of a second or so are one.  `report` hears of a folder that is away (False) or back
    (True).  Ends when `stop` is set.  Raises MissingExtraError, and StorageError for what the
    system can't watch.
    """
    watchfiles = import_watchfiles()
    presence, stop = presence or Presence(folders), stop or threading.Event()
    there = presence.there()
    matters = _Filter(folders, suffixes)
    renewed = True  # while nobody listened something may have changed
    while not stop.is_set():
        for changes in _changes(watchfiles, sorted(there), matters, stop):
            now = presence.there()
            for folder in sorted(there ^ now):
                report(folder, folder in now)
            others, there = now != there, now
            started = time.monotonic()
            if there and (changes or others or renewed):
                yield there
            renewed = others
            if (took := time.monotonic() - started) > _OFTEN:
                stop.wait(took)
            if others:
                break


def _changes(
    watchfiles: Any, folders: list[str], matters: Callable[[Any, str], bool], stop: threading.Event
) -> Iterator[Any]:
    """Sets of changes; an empty one now and then."""
    if not folders:
        while not stop.wait(_LOOK / 1000):
            yield set()
        return
    try:
        yield from watchfiles.watch(
            *folders,
            watch_filter=matters,
            debounce=_LONGEST,
            step=_QUIET,
            rust_timeout=_LOOK,
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        )
    except FileNotFoundError:  # a folder went between two looks
        yield set()
    except (OSError, RuntimeError) as error:
        raise StorageError(_why(str(error))) from error


def _why(reason: str) -> str:
    if any(word in reason for word in _LIMITS):
        return (
            "the system watches no more folders; raise its limit: "
            "sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024"
        )
    return f"the folders can't be watched: {' '.join(reason.split())}"


def import_watchfiles() -> Any:
    """Raises MissingExtraError where it isn't installed."""
    try:
        import watchfiles
    except ImportError:
        raise _NoWatchfiles("--watch needs watchfiles, which tells of changes", "watch") from None
    return watchfiles


class _NoWatchfiles(OptionError, MissingExtraError):
    """An option that needs an extra."""


class _Filter:
    """Whether a change may be one of a photo."""

    def __init__(self, folders: Collection[str], suffixes: Collection[str]) -> None:
        self._folders = [str(Path(folder)) for folder in folders]
        self._suffixes = suffixes
        self._own = os.path.realpath(albums_dir()) + os.sep

    def __call__(self, change: Any, path: str) -> bool:
        if os.path.splitext(path)[1].lower() in self._suffixes:
            return True
        if path.startswith(self._own) or self._is_hidden(path):
            return False  # what indexing itself writes must not bring it about
        # A folder that came, or was moved away with all that is in it.
        return os.path.isdir(path) or not os.path.lexists(path)

    def _is_hidden(self, path: str) -> bool:
        inside = [one for one in self._folders if path.startswith(one)]
        root = max(inside, key=len, default="")
        return f"{os.sep}." in path[len(root) :]


def _device(folder: str) -> int | None:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None


def _device_above(folder: str) -> int | None:
    while (up := os.path.dirname(folder)) != folder:
        folder = up
        if (found := _device(folder)) is not None:
            return found
    return None
