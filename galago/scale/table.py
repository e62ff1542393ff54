"""OUT: the table that rows go into, whatever its format; a few thousand are written at once."""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from galago.disk import refusals
from galago.errors import OptionError, StorageError
from galago.places import as_path
from galago.scale.addresses import is_address
from galago.scale.rows import Batch, Made

__all__ = ["Table", "short"]

# A minute is lost at most, and done again; the first rows come soon, to be looked at. A thousand
# nodes bring thousands in a second: fewer, larger writes, of as many rows as memory holds easily.
_ROWS, _FIRST, _SECONDS = 65_536, 2.0, 60.0


class Table(ABC):
    """A table of galago's, or one to be; `made` is what its rows have in common, None of a new one.

    Raises OptionError for what is something else, damaged, or of a later format.
    """

    made: Made | None = None

    def __init__(self, place: str) -> None:
        self.place = place if is_address(place) else os.path.abspath(as_path(place))
        self._seconds = _FIRST
        self._held: list[Batch] = []
        self._rows = 0  # of these
        self._since = 0.0

    @abstractmethod
    def names(self) -> Iterator[bytes]:
        """Of all rows, as Item.name."""

    @abstractmethod
    def _write(self, batches: list[Batch]) -> None:
        """Add these rows, all or none."""

    def finish(self) -> None:  # noqa: B027, not all formats need it
        """Put in order what many writes left, when all is done."""

    def begin(self, made: Made) -> None:
        """Rows of these models follow; OptionError where the table has other ones."""
        if self.made is not None:
            self.made.check(made, self.place)
        self.made = made

    def add(self, batch: Batch) -> None:
        """Take rows, and write what has come together; StorageError as `flush`."""
        if not self._held:
            self._since = time.monotonic()
        if batch.rows:
            self._held.append(batch)
            self._rows += len(batch.rows)
        if self._rows >= _ROWS or (self._held and time.monotonic() - self._since > self._seconds):
            self.flush()
            self._seconds = min(2 * self._seconds, _SECONDS)

    def flush(self) -> None:
        """Write what there is; StorageError where that is refused."""
        held, self._held, self._rows = self._held, [], 0
        if held:
            with self.refusals():
                self._write(held)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Alone: StorageError while another galago of this machine writes this table.

        Elsewhere nobody can be kept out.
        """
        if is_address(self.place):
            yield
            return
        from filelock import FileLock, Timeout

        path = Path(self.place)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        with self.refusals():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise StorageError(
                    f"another galago is writing {self.place}: let it, or stop it first"
                ) from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # before it is let go, or another's would go
                os.unlink(lock.lock_file)
            lock.release()

    def refusals(self) -> contextlib.AbstractContextManager[None]:
        """What the disk refuses, as one line."""
        return refusals(
            full=f"the disk with {self.place} is full: make room; what is written is whole, and "
            "the same command continues",
            closed=f"{self.place} can't be written: choose an OUT where you may write",
            other=lambda error: (
                f"{self.place} can't be written ({short(error)}); what is written "
                "is whole, and the same command continues"
            ),
        )

    def refuse(self, what: str) -> OptionError:
        """For what can't be continued."""
        return OptionError(f"{self.place} {what}")


def short(error: BaseException) -> str:
    """Its words in a line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
