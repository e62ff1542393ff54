"""Benchmarks one after the other, each kept when it is done."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from galago.clip.mobileclip import MobileCLIP
from galago.disk import whole_file
from galago.evaluate.clip.library import open_set
from galago.evaluate.clip.score import Score, evaluated, looked_at, picked
from galago.evaluate.clip.sets import Place
from galago.evaluate.clip.vectors import KeptVectors
from galago.places import slug
from galago.version import __version__

__all__ = ["Heard", "Scores"]

Heard = Callable[[str, int, int], None]  # what is done, how many of how many


@dataclass(frozen=True)
class _Kept:
    """Where a set's figures, and its vectors until they are there, are kept."""

    figures: Path
    vectors: Path
    data: str


class Scores:
    """One model's figures, in a folder of their own; closes what it keeps.

    `limit` pictures of each set, drawn with `seed`; `again`: what is kept is not believed.
    """

    def __init__(
        self,
        folder: Path,
        clip: MobileCLIP,
        *,
        limit: int | None = None,
        seed: int = 0,
        again: bool = False,
    ) -> None:
        made_by = [clip.name, clip.identity, clip.precision, __version__]
        name = f"{slug(clip.name)}-{clip.precision}-{_digest(made_by)}"
        self._clip, self._folder = clip, folder / name
        self._drawn = [limit, seed] if limit is not None else []
        self._limit, self._seed, self._again = limit, seed, again
        self._texts = KeptVectors(self._folder / "sentences.rows", clip.dim)

    def __enter__(self) -> Scores:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:  # or they are asked for again, by the next run
            self._texts.forget()
        self._texts.__exit__()

    def of(self, place: Place, heard: Heard) -> tuple[Score, bool]:
        """A set's figures, and whether they were there before.

        MissingExtraError, OptionError for a set that isn't whole, StorageError.
        """
        kept = self._kept(place)
        if not self._again and (found := _read(kept)) is not None:
            return found, True
        opened = open_set(place)
        chosen = picked(opened, self._limit, self._seed)
        total, done = opened.count if chosen is None else len(chosen), 0

        def more(count: int) -> None:
            nonlocal done
            done += count
            heard(place.of.name, done, total)

        heard(place.of.name, 0, total)
        if self._again:
            kept.vectors.unlink(missing_ok=True)
        with KeptVectors(kept.vectors, self._clip.dim) as vectors:
            seen = looked_at(self._clip, opened, chosen, vectors, more)
            score = evaluated(
                self._clip,
                place,
                opened,
                seen,
                chosen,
                self._texts,
                lambda done, total: heard(f"{place.of.name}: sentences", done, total),
            )
            _write(kept, score)
            vectors.forget()
        return score, False

    def _kept(self, place: Place) -> _Kept:
        stem = slug(place.of.name)
        if self._drawn:
            stem += "-" + "-".join(map(str, self._drawn))
        state = [place.of.name, place.of.metric, self._drawn, list(_files(place.folder))]
        return _Kept(self._folder / f"{stem}.json", self._folder / f"{stem}.rows", _digest(state))


def _digest(values: object) -> str:
    text = json.dumps(values, ensure_ascii=False)
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _files(folder: Path) -> Iterator[list[Any]]:
    """What a set's files are: of their names, sizes and times changes are seen."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            found = os.stat(os.path.join(place, name))
            yield [os.path.relpath(place, folder), name, found.st_size, found.st_mtime_ns]


def _read(kept: _Kept) -> Score | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        value: Mapping[str, Any] = json.loads(kept.figures.read_text("utf-8"))
        if value["data"] == kept.data:
            return Score.from_json(value["score"])
    return None


def _write(kept: _Kept, score: Score) -> None:
    with whole_file(kept.figures) as sink:
        sink.write(json.dumps({"data": kept.data, "score": score.to_json()}).encode())
