"""Reinforced shards as batches: a stored augmentation replayed, and what teachers said of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from galago.errors import OptionError
from galago.specs import ClipSpec
from galago.text.clip_tokens import load_clip_tokenizer
from galago.train.clip.augment import replay
from galago.train.clip.reading import Place, Reading, ShardStream, first_readable, short_name
from galago.train.clip.shards import Sample, SampleError, plain, read_sample

__all__ = ["Batch", "Lessons", "Stream", "first_sample"]


@dataclass
class Batch:
    """pixels: uint8 (b, 3, side, side).  texts: ids (b, T) int64 of a caption each, and of a
    synthetic one, if there are any; image_rows and text_rows: the teachers', float32 (b, numbers).
    notes: what is to be said about the reading.
    """

    pixels: torch.Tensor
    texts: list[torch.Tensor]
    image_rows: torch.Tensor
    text_rows: list[torch.Tensor]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Lessons(Reading):
    """... the numbers of the teachers' rows in them, whether synthetic captions are learnt, and for
    which student."""

    dims: tuple[int, ...]
    two: bool
    spec: ClipSpec


def first_sample(shards: Sequence[str]) -> Sample:
    """A sample that can be read, which tells the rest's shape; OptionError where none can."""
    return first_readable(shards, read_sample)


class Stream(ShardStream):
    """Of reinforced shards."""

    def __init__(self, lessons: Lessons, place: Place, start: int, workers: int) -> None:
        super().__init__(lessons, place, start, workers)
        self.lessons = lessons

    @cached_property
    def _tokenizer(self) -> Any:  # made by whoever reads: loading processes that are spawned
        return load_clip_tokenizer(self.lessons.spec.text.vocab)

    def _batch(self, learnt: list[_Learnt], notes: list[str]) -> Batch:
        pixels = torch.from_numpy(np.stack([one.pixels for one in learnt]))
        sides = range(2 if self.lessons.two else 1)
        return Batch(
            pixels.permute(0, 3, 1, 2).contiguous(),
            [self._ids([one.texts[side] for one in learnt]) for side in sides],
            self._rows([one.image_row for one in learnt]),
            [self._rows([one.text_rows[side] for one in learnt]) for side in sides],
            notes,
        )

    def _learn(self, epoch: int, shard: str, key: str, held: dict[str, bytes]) -> _Learnt:
        where = f"{short_name(shard)}:{key}"
        sample = read_sample(held, key, short_name(shard))
        width = sample.image_rows.shape[1]
        if width != sum(self.lessons.dims):
            told = " + ".join(map(str, self.lessons.dims))
            raise OptionError(
                f"{where}: its rows have {width} numbers, and the teachers {told}: these shards "
                "were reinforced by others, take them out or give --dims and --scales"
            )
        rng = random.Random(f"{self.lessons.seed}-{epoch}-{key}")
        number = rng.randrange(len(sample.augmentations))
        image = plain(sample.picture, where)
        top, left, height, wide = sample.augmentations[number].box
        if top + height > image.height or left + wide > image.width:
            raise SampleError(
                where, f"its augmentations are of another picture than this of {image.size}"
            )
        try:
            square = replay(image, sample.augmentations[number], self.lessons.spec.image.side)
        except (ValueError, TypeError, OverflowError) as error:  # as 9 bits of a posterization
            raise SampleError(where, f"its augmentations can't be replayed ({error})") from None
        texts, rows = [sample.text], [sample.text_rows[0]]
        if self.lessons.two:
            said = rng.randrange(len(sample.synthetic)) if sample.synthetic else None
            texts.append(sample.text if said is None else sample.synthetic[said])
            rows.append(sample.text_rows[0 if said is None else 1 + said])
        return _Learnt(np.asarray(square), texts, sample.image_rows[number], rows)

    def _ids(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.from_numpy(self._tokenizer(texts))

    def _rows(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit again for each teacher, as they were before they were stored in half precision."""
        whole = torch.from_numpy(np.stack(rows))
        return torch.cat(
            [F.normalize(part, dim=1) for part in whole.split(self.lessons.dims, 1)], 1
        )


@dataclass(frozen=True)
class _Learnt:
    """One picture's part of a batch."""

    pixels: np.ndarray
    texts: list[str]
    image_row: np.ndarray
    text_rows: list[np.ndarray]
