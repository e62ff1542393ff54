"""Photos and a model for tests of albums: colours stand for what pictures show."""

from __future__ import annotations

import io
import os
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from galago.album import IndexOptions, Store, Summary, index
from galago.album.reading import OpenVideo
from galago.album.texts import TextKind, write
from galago.album.vectors import Rows, VectorFile
from galago.media.images import Source, date_taken, open_image
from galago.media.stills import stills

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="names and links of POSIX")
COLOURS = {
    "red": (230, 20, 20),
    "green": (20, 200, 30),
    "blue": (30, 40, 240),
    "yellow": (240, 230, 20),
    "grey": (128, 128, 128),
}
Float = NDArray[np.float32]


class FakeEmbedder:
    """Vectors of a picture's colours; words that name a colour lie near pictures of it.

    Notes what it encodes.  `stop_after` pictures it raises KeyboardInterrupt, as a person would.
    """

    name = "fake"
    dim = 24

    def __init__(self, identity: str = "fake-1", stop_after: int | None = None) -> None:
        self.identity = identity
        self.stop_after = stop_after
        self.encoded = 0
        self.prepared = 0
        self._turn = np.random.default_rng(zlib.crc32(identity.encode())).normal(size=(13, 24))

    def prepare(self, picture: Source, *, name: str | None = None, pool: object = None) -> Float:
        self.prepared += 1
        small = open_image(picture, name=name).resize((2, 2), Image.Resampling.BOX)
        return np.asarray(small, np.float32).reshape(12) / 255 - 0.5

    def prepare_dated(
        self, picture: Source, *, name: str | None = None, pool: object = None
    ) -> tuple[Float, str]:
        pixels = self.prepare(picture, name=name)
        return pixels, date_taken(picture, name=name)

    def embed_pixels(self, pixel_values: Float) -> Float:
        self.encoded += len(pixel_values)
        if self.stop_after is not None and self.encoded > self.stop_after:
            raise KeyboardInterrupt
        return self._unit(np.pad(pixel_values, ((0, 0), (0, 1))))

    def embed_texts(self, texts: Sequence[str]) -> Float:
        return self._unit(np.stack([_meaning(text) for text in texts]))

    def embed_phrases(self, texts: Sequence[str]) -> Float:
        return self.embed_texts(texts)

    def strange(self, texts: Sequence[str], rows: Float) -> list[str]:
        return [text for text in texts if text == "hippogriff"]

    def _unit(self, rows: NDArray[np.float64]) -> Float:
        turned = rows @ self._turn
        return (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32)


class FakeClip(FakeEmbedder):
    """As a MobileCLIP is asked by the verbs."""

    spec = SimpleNamespace(text=SimpleNamespace(context=77))

    def fits(self, text: str) -> bool:
        return len(text.split()) <= 75


class Models:
    """What MobileCLIP.load gives by name; notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stop_after: int | None = None

    def load(self, name: object, **_: object) -> FakeClip:
        self.asked.append(os.fspath(name))  # type: ignore[call-overload]
        second = "other" in str(name) or str(name) == "fake"  # "fake": of update
        model = FakeClip("fake-2" if second else "fake-1", self.stop_after)
        model.name = str(name)
        return model


@cache
def _meaning(text: str) -> NDArray[np.float64]:
    """Its colour four times over, and something else that only words have."""
    for name, colour in COLOURS.items():
        if name in text:
            return np.append(np.tile(np.array(colour) / 255 - 0.5, 4), 0.3)
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=13) * 0.3


def photo(path: Path, colour: str = "red", seed: int = 0, age: float = 100.0) -> Path:
    """A small picture of one colour, a little different for each seed, saved `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_png(colour, seed))
    older(path, age)
    return path


def dated(path: Path, when: str, colour: tuple[int, int, int] = (230, 20, 20)) -> Path:
    """A small picture that says when it was taken, as EXIF does."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = when
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "JPEG", exif=exif)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
    older(path)
    return path


@cache
def _png(colour: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-12, 13, (8, 8, 3))
    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def older(path: Path, age: float = 100.0) -> None:
    """As files are that were not just written: their times tell whether they changed."""
    then = time.time() - age
    os.utime(path, (then, then))


def update(
    album: Path,
    *folders: Path,
    model: FakeEmbedder | None = None,
    report: Callable[[str, int, int], None] | None = None,
    open_video: OpenVideo = stills,
    **options: object,
) -> Summary:
    """Index with a fake model, in small batches."""
    chosen = IndexOptions(**({"batch": 4, "workers": 2} | options))  # type: ignore[arg-type]
    used = model or FakeEmbedder()
    return index(
        album,
        folders,
        lambda: used,
        source="fake",
        options=chosen,
        report=report,
        open_video=open_video,
    )


def paths_in(album: Path) -> list[str]:
    """Every photo of the album that can be searched for, on the disk or not."""
    with Store.open(album) as store:
        found = store.db.execute("SELECT path FROM photos WHERE row IS NOT NULL ORDER BY path")
        return [os.fsdecode(path) for (path,) in found]


def check(album: Path) -> None:
    """What must be true of an album whatever was done to it."""
    with Store.open(album) as store:
        head = store.head()
        assert head is not None
        assert store.vectors_path(head.generation).stat().st_size >= head.rows * head.dim * 2
        assert store.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert store.count("vectors") == head.rows
        wrong = (
            "photos WHERE row IS NOT NULL AND row NOT IN (SELECT row FROM vectors)",
            "photos WHERE (row IS NULL) = (error IS NULL)",
            "vectors WHERE (unused IS NULL) = (row NOT IN "
            "(SELECT row FROM photos WHERE row IS NOT NULL)) "
            "AND hash NOT IN (SELECT hash FROM frames)",
        )
        assert [store.count(what) for what in wrong] == [0, 0, 0]
        lengths = np.linalg.norm(store.rows(head).take(slice(None)), axis=1)
        assert np.allclose(lengths, 1, atol=2e-3)


def vector_of(album: Path, path: str) -> Float:
    """The stored vector of a photo, (1, dim)."""
    with Store.open(album) as store:
        head = store.head()
        assert head is not None
        ((row,),) = store.db.execute("SELECT row FROM photos WHERE path = ?", (os.fsencode(path),))
        return store.rows(head).take(np.array([row]))


def say(album: Path, folder: str, stem: str, text: str, kind: TextKind = "read") -> None:
    """Keep a text of the photo of this name, in a folder of this name."""
    with Store.open(album, write=True) as store, store.transaction():
        for path, row in store.db.execute("SELECT path, row FROM photos").fetchall():
            place = Path(os.fsdecode(path))
            if (place.parent.name, place.stem) == (folder, stem):
                write(store, store.digest_of(row), kind, text)


def unit(count: int, dim: int, seed: int = 0) -> Float:
    """Random vectors of length one, (count, dim)."""
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def stored(path: Path, vectors: Float) -> Rows:
    """Vectors in a file as an album keeps them."""
    with VectorFile(path, vectors.shape[1], 0) as file:
        file.write(0, vectors)
    return Rows(path, vectors.shape[1], len(vectors))
