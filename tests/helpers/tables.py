"""What `galago embed` works with, without models, Ray, Lance or pyarrow."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.media import images
from galago.scale.addresses import opened
from galago.scale.crew import Chunk
from galago.scale.items import Item
from galago.scale.rows import Batch, Made, Row
from galago.scale.table import Table
from galago.specs import ImageSpec

__all__ = ["MADE", "FakeCrew", "FakeVectors", "KeptTable", "Raw", "here", "lacking", "raws"]

MADE = Made("fake", "fake-1", 4)


class FakeVectors:
    """Vectors of a picture's mean colour; `most` pictures need more memory than there is."""

    name, identity, dim, precision = "fake", "fake-1", 4, "fp32"
    spec = SimpleNamespace(image=ImageSpec(32, min_side=32))

    def __init__(self, most: int = 1000, error: Exception | None = None) -> None:
        self.most, self.error = most, error or MemoryError()
        self.asked: list[int] = []

    def embed_pixels(self, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked.append(len(pixel_values))
        if len(pixel_values) > self.most:
            raise self.error
        means = pixel_values.mean(axis=(2, 3))
        rows = np.concatenate([means, np.ones((len(means), 1), np.float32)], axis=1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def lacking(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As where a package isn't installed."""
    real = builtins.__import__

    def imported(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest)

    opened.cache_clear()
    monkeypatch.setattr(builtins, "__import__", imported)


def here() -> Any:
    """As a PicturePool, in this process."""
    return SimpleNamespace(load_square=images.load_square, close=lambda: None)


class Raw:
    """A place whose bytes are given; or what reading it raises."""

    def __init__(self, data: bytes | Exception) -> None:
        self._data = data

    def read(self) -> bytes:
        if isinstance(self._data, Exception):
            raise self._data
        return self._data


def raws(*pictures: bytes | Exception) -> list[Item]:
    """Items called 0, 1, 2 …"""
    return [Item(str(number).encode(), Raw(data)) for number, data in enumerate(pictures)]


class KeptTable(Table):
    """A table in a dictionary, which outlives whoever writes it."""

    def __init__(self, folder: Path, kept: dict[str, Any]) -> None:
        super().__init__(str(folder / "out.kept"))
        self._kept = kept
        self.made = kept.get("made")
        self.finished = False

    def names(self) -> Iterator[bytes]:
        return iter([row.name for row in self._kept.get("rows", [])])

    def _write(self, batches: list[Batch]) -> None:
        self._kept["made"] = self.made
        self._kept.setdefault("rows", []).extend(row for one in batches for row in one.rows)
        self._kept["writes"] = self._kept.get("writes", 0) + 1

    def finish(self) -> None:
        self.finished = True


class FakeCrew:
    """Rows of names, as they come; `meddle` is called with each chunk before it is done."""

    def __init__(
        self, made: Made = MADE, meddle: Callable[[Chunk], object] = lambda chunk: None
    ) -> None:
        self.made, self._meddle = made, meddle
        self.closed = False
        self.chunks: list[list[bytes]] = []

    def __enter__(self) -> FakeCrew:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def run(self, chunks: Iterable[Chunk]) -> Iterator[Batch]:
        for chunk in chunks:
            self.chunks.append([item.name for item in chunk])
            self._meddle(chunk)
            rows = [
                Row(item.name, sha256=hashlib.sha256(item.name).hexdigest(), error=_wrong(item))
                for item in chunk
                if b"later" not in item.name
            ]
            unread = [(item.name, "not now") for item in chunk if b"later" in item.name]
            yield Batch(rows, unread, "fp32")


def _wrong(item: Item) -> str | None:
    return "no picture" if b"bad" in item.name else None
