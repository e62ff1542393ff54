"""Random FastVLMs in every shape of the published ones, with weights that few bits ruin less.

real_vlm(folder, "7B")  15 GB in bf16, written run by run; "0.5B", "1.5B" too
"""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from galago import catalog
from galago.bench.vlm.shapes import SHAPES, Shape, random_array, write_random
from galago.checkpoints.names import HEAD, VISION, slots
from galago.checkpoints.tensors import Float
from galago.hub.resolve import local

# What all layers add to an embedding, in its size; a tied model that adds less repeats one token.
_ADDED = {True: 2.5, False: 1.0}
_SPREAD = 4.0  # of the logits of an untied one


def real_vlm(folder: Path, name: str, seed: int = 0) -> Path:
    """A llava_qwen2 folder in the shape of FastVLM-`name`, with fastvlm-nano's tokenizer."""
    shape = SHAPES[name]
    write_random(folder, shape, seed, lambda *drawn: _settled(shape, *drawn))
    embedded = local(catalog.DEFAULT)
    assert embedded is not None
    shutil.copyfile(embedded.folder / "tokenizer.json", folder / "tokenizer.json")
    return folder


class _Pool(np.random.Generator):
    """Numbers cut from a few millions that are drawn once: seven thousand millions take an hour."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng.bit_generator)

    def standard_normal(self, size: Any = None, *_: Any, **__: Any) -> Any:
        """float32, from a place of its own for every run."""
        pool = _drawn()
        found = np.empty(int(np.prod(size)), np.float32)
        for start in range(0, len(found), len(pool) // 2):
            part = found[start : start + len(pool) // 2]
            place = int(self.integers(len(pool) - len(part) + 1))
            part[:] = pool[place : place + len(part)]
        return found.reshape(size)


@functools.cache
def _drawn() -> Float:
    return np.random.default_rng(0).standard_normal(1 << 22, np.float32)


def _settled(shape: Shape, rng: np.random.Generator, name: str, size: tuple[int, ...]) -> Float:
    """As random_array, but no layer makes the rounding errors of those before it much larger.

    Each adds little to a stream that remains, as in a trained model; blocks of a deep stage less
    than those of a shallow one.
    """
    array, text = random_array(_Pool(rng), name, size), shape.text
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        alone = 5 * text.layers**0.5  # what they add as they were drawn
        return array * np.float32(_ADDED[text.tied] * 3 * text.hidden**-0.5 / alone)
    if name == HEAD:
        return array * np.float32(_SPREAD)
    for slot in slots(shape.vision):
        if slot.kind == "blocks" and name.startswith(f"{VISION}network.{slot.index}."):
            share = np.float32(shape.vision.depths[slot.stage] ** -0.5)
            if "layer_scale" in name:
                return array * share
            if name.endswith("token_mixer.reparam_conv.weight"):
                middle = size[-1] // 2
                array *= share
                array[..., middle, middle] += 1 - share
    return array
