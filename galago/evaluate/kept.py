"""Answers on disk as they come, so that what was asked once isn't asked again.

A file holds the answers of one model in one precision, by one version of galago: JSON lines, the
first of which says whose they are. What is right isn't in it: data may be mended, or judged
otherwise, without asking anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from galago.disk import refusals
from galago.evaluate.asking import Answer
from galago.places import slug
from galago.version import __version__

__all__ = ["KeptAnswers"]

_FORMAT = 1
_STRANGE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)  # of lines by others


class KeptAnswers:
    """Answers by their keys.  StorageError for what the disk refuses."""

    def __init__(self, folder: Path, identity: Mapping[str, object]) -> None:
        """Those of this identity in a folder, which is made."""
        header = {"format": _FORMAT, "galago": __version__, **identity}
        text = json.dumps(header, sort_keys=True, ensure_ascii=False)
        digest = blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
        self.path = folder / f"{slug(str(identity.get('model', 'model')))}-{digest}.jsonl"
        self._answers: dict[str, Answer] = {}
        self._peak = 0
        with self._refusals():
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._read(self.path.read_bytes())
            self._file: BinaryIO = open(self.path, "ab", buffering=0)  # noqa: SIM115
            if self._file.tell() == 0:
                self._file.write(text.encode("utf-8", "replace") + b"\n")

    def _read(self, data: bytes) -> None:
        """Lines that are whole; one that a stopped process left half is passed over."""
        for line in data.split(b"\n"):
            with contextlib.suppress(*_STRANGE):
                record = json.loads(line)
                if "peak_memory" in record:
                    self._peak = max(self._peak, int(record["peak_memory"]))
                    continue
                self._answers[str(record["key"])] = Answer.from_json(record)

    def __enter__(self) -> KeptAnswers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer, at once."""
        self._write({"key": key, **answer.to_json()})
        self._answers[key] = answer

    @property
    def peak(self) -> int | None:
        """The most bytes that a process which asked has held; None where that isn't known."""
        return self._peak or None

    def put_peak(self, memory: int) -> None:
        """Keep how much memory this process has held."""
        if memory > self._peak:
            self._peak = memory
            self._write({"peak_memory": memory})

    def _write(self, record: Mapping[str, object]) -> None:
        # A line break before it, too: the line of a stopped process may have none behind.
        with self._refusals():
            self._file.write(f"\n{json.dumps(record)}\n".encode())

    def _refusals(self) -> contextlib.AbstractContextManager[None]:
        folder = self.path.parent
        return refusals(
            full=f"the disk is full: answers can't be kept in {folder}; make room, or set "
            "GALAGO_CACHE to a folder on a larger disk",
            closed=f"answers can't be kept in {folder}: it may not be written",
        )
