"""What the towers keep in memory: float32 of a file stays there, the rest is rounded as asked."""

from __future__ import annotations

import numpy as np
import pytest

from galago.clip_checkpoint import ClipCheckpoint, open_clip_checkpoint
from galago.clip_sessions import TextTower, _kept, image_items, text_items
from galago.safetensors import LazyTensor
from galago.weights import InMemory
from tests.test_mobileclip import published


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> ClipCheckpoint:
    return open_clip_checkpoint(published(tmp_path_factory.mktemp("clip")))


@pytest.mark.parametrize(("precision", "native"), [("fp32", False), ("fp32", True), ("bf16", True)])
def test_float32_is_shared_with_the_file(
    checkpoint: ClipCheckpoint, precision: str, native: bool
) -> None:
    kept = _kept(text_items(checkpoint), precision, native=native)  # type: ignore[arg-type]
    assert kept and all(isinstance(stored, LazyTensor) for stored in kept.values())
    assert all(stored is checkpoint.tensors[name] for name, stored in kept.items())
    assert "text.token_embedding.weight" not in kept  # looked up, not multiplied
    image = _kept(image_items(checkpoint), precision, native=native)  # type: ignore[arg-type]
    assert any(isinstance(stored, InMemory) for stored in image.values())  # folded


@pytest.mark.parametrize(
    ("precision", "kinds"), [("bf16", {"BF16"}), ("int8", {"I8", "F32", "BF16"})]
)
def test_what_is_rounded_is_a_copy(
    checkpoint: ClipCheckpoint, precision: str, kinds: set[str]
) -> None:
    kept = _kept(text_items(checkpoint), precision, native=False)  # type: ignore[arg-type]
    assert {stored.dtype for stored in kept.values()} == kinds
    assert all(isinstance(stored, InMemory) for stored in kept.values())


def test_numbers_at_odd_addresses_are_copied() -> None:
    data = np.arange(33, dtype=np.uint8)
    odd = LazyTensor("odd", (8,), "F32", data[1:])
    half = LazyTensor("half", (8,), "F16", np.zeros(16, np.uint8))
    kept = _kept(iter([("odd", odd), ("half", half)]), "fp32", native=False)
    assert all(isinstance(stored, InMemory) for stored in kept.values())
    assert np.array_equal(kept["odd"].read(), odd.read()) and kept["half"].dtype == "F32"


def test_pages_let_go_are_read_again(checkpoint: ClipCheckpoint) -> None:
    tower = TextTower(checkpoint, "fp32")
    ids = np.zeros((2, checkpoint.spec.text.context), np.int64)
    ids[:, :3] = [[5, 6, checkpoint.spec.text.vocab - 1], [7, 8, checkpoint.spec.text.vocab - 1]]
    first = tower(ids)  # drops the file's pages
    assert np.array_equal(tower(ids), first) and not np.array_equal(first[0], first[1])
    assert np.array_equal(TextTower(checkpoint, "fp32")(ids), first)
