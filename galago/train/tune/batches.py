"""Rows as batches of tensors: read, labelled, and padded when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from galago.checkpoints.tensors import Float
from galago.rows.rows import Photo, Rows
from galago.specs import ImageSpec
from galago.train.tune.labels import IGNORED, Example, Labeller

__all__ = ["Batches", "Item", "Look", "collate", "pixels_of"]

Look = Callable[[Photo], Float]
"""A picture as the learner takes it: features (T, C), or pixel values (3, side, side)."""


@dataclass(frozen=True, eq=False)
class Item:
    """An example, its pictures in the order of the ids, and which row it is."""

    example: Example
    pictures: tuple[Float, ...]
    row: int


class Batches(Dataset):  # type: ignore[type-arg]
    """Rows to learn from."""

    def __init__(self, rows: Rows, labeller: Labeller, look: Look) -> None:
        self.rows, self.labeller, self.look = rows, labeller, look

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Item:
        """RowError, ImageError."""
        row = self.rows[index]
        example = self.labeller(row)
        order = np.argsort(example.starts)  # slots are filled from left to right
        return Item(example, tuple(self.look(row.pictures[at]) for at in order), index)


def pixels_of(image: ImageSpec) -> Look:
    """Pictures looked at anew each time, by the learner's own trunk."""
    return lambda photo: photo.pixel_values(image)


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """A batch, padded at the end.

    ids, labels int64 (B, T), `slots` bool (B, T): where pictures go; `seen` int64 (B, T): 0 where
    padded; `pictures` float32 (P, …): of all rows, in order, missing where there are none; `rows`
    int64 (B,): which rows they are.
    """
    longest = max(len(item.example.ids) for item in items)
    shape = (len(items), longest)
    ids, seen = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    labels = torch.full(shape, IGNORED)
    slots = torch.zeros(shape, dtype=torch.bool)
    for at, item in enumerate(items):
        example, length = item.example, len(item.example.ids)
        of_images = torch.from_numpy(example.of_images)
        slots[at, :length] = of_images
        ids[at, :length] = torch.from_numpy(example.ids).masked_fill(of_images, 0)
        labels[at, :length] = torch.from_numpy(example.labels)
        seen[at, :length] = 1
    batch: dict[str, Any] = {"ids": ids, "slots": slots, "seen": seen, "labels": labels}
    pictures = [picture for item in items for picture in item.pictures]
    if pictures:
        batch["pictures"] = torch.from_numpy(np.stack(pictures))
    batch["rows"] = torch.tensor([item.row for item in items])
    return batch
