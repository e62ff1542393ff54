"""What the towers keep in memory: float32 of a file stays there, the rest is rounded as asked."""

from __future__ import annotations

import numpy as np
import pytest

from galago.checkpoints.clip import ClipCheckpoint, open_clip_checkpoint
from galago.checkpoints.tensors import InMemory, LazyTensor
from galago.engine.clip_sessions import TextTower
from galago.engine.clip_weights import image_items, in_precision, text_items
from tests.test_mobileclip import published


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> ClipCheckpoint:
    return open_clip_checkpoint(published(tmp_path_factory.mktemp("clip")))


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


def test_pages_let_go_are_read_again(checkpoint: ClipCheckpoint) -> None:
    tower = TextTower(checkpoint, "fp32")
    ids = np.zeros((2, checkpoint.spec.text.context), np.int64)
    ids[:, :3] = [[5, 6, checkpoint.spec.text.vocab - 1], [7, 8, checkpoint.spec.text.vocab - 1]]
    first = tower(ids)  # drops the file's pages
    assert np.array_equal(tower(ids), first) and not np.array_equal(first[0], first[1])
    assert np.array_equal(TextTower(checkpoint, "fp32")(ids), first)
