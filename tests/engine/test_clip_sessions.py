"""MobileCLIP's text towers as they run: pages let go, graphs kept, convolutions over tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago import specs
from galago.checkpoints.clip import ClipCheckpoint, open_clip_checkpoint
from galago.checkpoints.clip_config import FIRST
from galago.checkpoints.tensors import InMemory
from galago.engine import clip_sessions
from galago.engine.clip_sessions import TextTower
from tests.helpers.checkpoints import Arrays
from tests.helpers.clips import TINY_MCI, clip_tensors


@pytest.fixture(scope="module")
def checkpoint(clip_folder: Path) -> ClipCheckpoint:
    return open_clip_checkpoint(clip_folder)


@pytest.fixture
def ids(checkpoint: ClipCheckpoint) -> np.ndarray:
    """Two texts of two words each, (2, context)."""
    rows = np.zeros((2, checkpoint.spec.text.context), np.int64)
    rows[:, :3] = [[5, 6, checkpoint.spec.text.vocab - 1], [7, 8, checkpoint.spec.text.vocab - 1]]
    return rows


def test_pages_let_go_are_read_again(checkpoint: ClipCheckpoint, ids: np.ndarray) -> None:
    tower = TextTower(checkpoint, "fp32")
    first = tower(ids)  # drops the file's pages
    assert np.array_equal(tower(ids), first) and not np.array_equal(first[0], first[1])
    assert np.array_equal(TextTower(checkpoint, "fp32")(ids), first)


def test_a_tower_kept_reads_no_tensors(
    checkpoint: ClipCheckpoint, ids: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "graphs"
    plain = TextTower(checkpoint, "fp32")(ids)
    assert np.array_equal(TextTower(checkpoint, "fp32", cache_dir=cache)(ids), plain)
    assert len(list(cache.iterdir())) == 1

    def never(*_: Any) -> None:
        raise AssertionError("tensors were read")

    monkeypatch.setattr(clip_sessions, "in_precision", never)
    again = TextTower(checkpoint, "fp32", cache_dir=cache)
    assert np.array_equal(again(ids), plain) and np.array_equal(again(ids), plain)


def test_the_convolutions_over_tokens() -> None:
    """A text tower of two convolutional blocks and nothing between, beside plain numpy."""
    text = specs.ClipTextSpec(16, 2, 0, causal=False, context=20, vocab=600, mixers=True)
    spec = replace(FIRST[0], vision=TINY_MCI, text=text, embed=16)
    checkpoint = ClipCheckpoint(spec, stored(clip_tensors(spec)), 3.0)
    tower = TextTower(checkpoint, "fp32")
    ids = np.random.default_rng(2).integers(1, 599, (2, 20))
    ids[:, 12] = 599

    get = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
    x = get["text.token_embedding.weight"][ids] + get["text.positional_embedding"]  # (B, T, C)
    for index in (0, 1):
        name = f"text.transformer.resblocks.{index}"
        x = along(x, get, f"{name}.token_mixer.reparam_conv")
        wide = along(x, get, f"{name}.convffn.conv.conv")
        norm = {part: get[f"{name}.convffn.conv.bn.{part}"] for part in NORM}
        wide = (wide - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
        wide = wide * norm["weight"] + norm["bias"]
        wide = wide @ get[f"{name}.convffn.fc1.weight"][:, :, 0, 0].T
        wide = gelu(wide + get[f"{name}.convffn.fc1.bias"])
        wide = wide @ get[f"{name}.convffn.fc2.weight"][:, :, 0, 0].T
        wide = wide + get[f"{name}.convffn.fc2.bias"]
        x = x + get[f"{name}.layer_scale"][:, 0, 0] * wide
    last = x[:, 12]
    last = (last - last.mean(-1, keepdims=True)) / np.sqrt(last.var(-1, keepdims=True) + 1e-5)
    last = last * get["text.ln_final.weight"] + get["text.ln_final.bias"]
    assert np.allclose(tower(ids), last @ get["text.text_projection"], atol=1e-4)


NORM = ("weight", "bias", "running_mean", "running_var")


def stored(arrays: Arrays) -> dict[str, InMemory]:
    return {n: InMemory("F32", array.shape, array) for n, array in arrays.items()}


def along(x: np.ndarray, get: Arrays, name: str) -> np.ndarray:
    """Each channel's convolution over 11 tokens, zeros around them."""
    kernel = get[f"{name}.weight"][:, 0, 0]  # (C, 11)
    padded = np.pad(x, ((0, 0), (5, 5), (0, 0)))
    out = sum(padded[:, tap : tap + x.shape[1]] * kernel[:, tap] for tap in range(11))
    return np.asarray(out + get.get(f"{name}.bias", np.float32(0)))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / 2**0.5))
