"""What the towers keep in memory: float32 of a file stays there, the rest is rounded as asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.clip import ClipCheckpoint, open_clip_checkpoint
from galago.checkpoints.tensors import InMemory, LazyTensor
from galago.engine.clip_weights import image_items, in_precision, text_items


@pytest.fixture(scope="module")
def checkpoint(clip_folder: Path) -> ClipCheckpoint:
    return open_clip_checkpoint(clip_folder)


@pytest.mark.parametrize(("precision", "native"), [("fp32", False), ("fp32", True), ("bf16", True)])
def test_float32_is_shared_with_the_file(
    checkpoint: ClipCheckpoint, precision: str, native: bool
) -> None:
    held = in_precision(text_items(checkpoint), precision, native=native)  # type: ignore[arg-type]
    assert held and all(isinstance(stored, LazyTensor) for stored in held.values())
    assert all(stored is checkpoint.tensors[name] for name, stored in held.items())
    assert "text.token_embedding.weight" not in held  # looked up, not multiplied
    image = in_precision(image_items(checkpoint), precision, native=native)  # type: ignore[arg-type]
    assert any(isinstance(stored, InMemory) for stored in image.values())  # folded


@pytest.mark.parametrize(
    ("precision", "kinds"), [("bf16", {"BF16"}), ("int8", {"I8", "F32", "BF16"})]
)
def test_what_is_rounded_is_a_copy(
    checkpoint: ClipCheckpoint, precision: str, kinds: set[str]
) -> None:
    held = in_precision(text_items(checkpoint), precision, native=False)  # type: ignore[arg-type]
    assert {stored.dtype for stored in held.values()} == kinds
    assert all(isinstance(stored, InMemory) for stored in held.values())


def test_numbers_at_odd_addresses_are_copied() -> None:
    data = np.arange(33, dtype=np.uint8)
    odd = LazyTensor("odd", (8,), "F32", data[1:])
    half = LazyTensor("half", (8,), "F16", np.zeros(16, np.uint8))
    held = in_precision(iter([("odd", odd), ("half", half)]), "fp32", native=False)
    assert all(isinstance(stored, InMemory) for stored in held.values())
    assert np.array_equal(held["odd"].read(), odd.read()) and held["half"].dtype == "F32"
