"""OUT as a Lance table, here or in a bucket; https://lance.org says what that is."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from galago.errors import MissingExtraError, OptionError, StorageError
from galago.scale.addresses import is_address
from galago.scale.arrow import KEY, table_of
from galago.scale.rows import Batch, Made
from galago.scale.table import Table

__all__ = ["LanceTable", "short"]

_OWN = {"data", "_versions", "_transactions", "_deletions", "_indices"}  # of a table's folder
_NOT_THERE = "was not found"
_READ = timedelta(hours=1)  # for whoever reads an older version
_OF_SOURCE = re.compile(r",? /\S+\.rs:\d+(:\d+)?")
_THREADS = 8  # of Lance's, at least
_TIDY = 64  # writes: each takes longer, and keeps a list of all files, the more files there are
_WHOLE = 65_536  # rows of a file that is left as it is, else 10⁹ would be copied when all is done


class LanceTable(Table):
    """Every write is a version of the table: the whole of it or nothing."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._lance = _lance()
        self._writes = 0
        self._check_folder()
        found = self.dataset()
        if found is not None:
            kept = (found.schema.metadata or {}).get(KEY)
            if kept is None:
                raise self.refuse("was not made by galago embed: give another OUT")
            self.made = Made.of_json(kept, self.place)

    def names(self) -> Iterator[bytes]:
        found = self.dataset()
        if found is None:
            return
        try:
            batches = found.scanner(columns=["path", "path_bytes"]).to_batches()
            for batch in batches:
                columns = (column.to_pylist() for column in batch.columns)
                for path, exact in zip(*columns, strict=True):
                    yield path.encode() if exact is None else exact
        except (ValueError, OSError, RuntimeError) as error:
            raise self._unread(error) from None

    def _write(self, batches: list[Batch]) -> None:
        assert self.made is not None
        rows = table_of(batches, self.made)
        with self._told():
            mode = "create" if self.dataset() is None else "append"
            self._lance.write_dataset(rows, self.place, mode=mode)
        self._writes += 1
        if self._writes % _TIDY == 0:
            with contextlib.suppress(StorageError):  # what is written is whole without it
                self.finish()

    def finish(self) -> None:
        """Many small files become few, which are quicker to search."""
        found = self.dataset()
        if found is not None and len(found.get_fragments()) > 1:
            with self.refusals(), self._told():
                found.optimize.compact_files(target_rows_per_fragment=_WHOLE)
                found.cleanup_old_versions(older_than=_READ, error_if_tagged_old_versions=False)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What Lance refuses, as one line."""
        try:
            yield
        except (ValueError, RuntimeError) as error:
            raise StorageError(
                f"{self.place} can't be written ({short(error)}); what is written is whole, and "
                "the same command continues"
            ) from None

    def dataset(self) -> Any:
        """The table as it is now, a lance.LanceDataset; None where there is none yet."""
        if not is_address(self.place) and not os.path.isdir(self.place):
            return None  # and what stands in its way is told when it is written
        try:
            return self._lance.dataset(self.place)
        except (ValueError, OSError) as error:
            if _NOT_THERE in str(error) or "Not found" in str(error):
                return None
            raise self._unread(error) from None

    def _unread(self, error: Exception) -> OptionError:
        """For a table that is damaged, or a bucket that isn't as it was asked."""
        if is_address(self.place):
            return self.refuse(f"can't be read: {short(error)}")
        return self.refuse(
            f"is damaged ({short(error)}): put its files back from a copy, or give another OUT"
        )

    def _check_folder(self) -> None:
        """What a killed run left of a version that never came is ours; strangers' files aren't."""
        if is_address(self.place) or not os.path.lexists(self.place):
            return
        if not os.path.isdir(self.place):
            raise self.refuse("is a file, and a Lance table is a folder: give another OUT")
        others = sorted(set(os.listdir(self.place)) - _OWN)
        if others and not os.path.isdir(os.path.join(self.place, "_versions")):
            raise self.refuse(f"is a folder of something else ({others[0]}): give another OUT")


def _lance() -> Any:
    # Of two threads, as many as two processors have, each waits for the other: an index of three
    # million rows never came (14.0.2, twice of twice); of eight it did.
    os.environ.setdefault("LANCE_CPU_THREADS", str(max(_THREADS, os.cpu_count() or 1)))
    try:
        import lance
    except ImportError:
        raise MissingExtraError("a Lance table needs pylance", "cluster") from None
    return lance


def short(error: BaseException) -> str:
    """Without the places in its source that Lance adds."""
    words = " ".join(str(error).split()).removeprefix("Invalid user input: ")
    return _OF_SOURCE.sub("", words)[:200]
