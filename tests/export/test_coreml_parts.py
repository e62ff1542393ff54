"""A decoder's package in parts: as the whole says, and refused when its state is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="needs the extra coreml")

from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.engine.coreml import mb
from galago.engine.mil import Package
from galago.errors import ExportError
from galago.export import coreml_parts
from galago.export.coreml import write_decoder
from galago.export.coreml_parts import read_logits
from galago.export.coreml_proof import CoreMLCache
from galago.export.mil_writer import LAST, DecoderMil
from tests.helpers.checkpoints import TINY_TEXT
from tests.helpers.once import once


@pytest.fixture(scope="module")
def source(tiny: Path) -> Checkpoint:
    return open_checkpoint(tiny)


@pytest.fixture(scope="module")
def decoder(source: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def write(folder: Path) -> None:
        write_decoder(source, 8, folder / "decoder.mlpackage")

    return once(tmp_path_factory, "coreml-decoder", write) / "decoder.mlpackage"


def _sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal((size, TINY_TEXT.hidden), np.float32) for size in (23, 14)]


def test_in_parts_as_the_whole(decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers and the tail, each on its own, against steps through the whole program."""
    monkeypatch.setattr(coreml_parts, "_BUDGET", 100_000)
    told: list[float] = []
    found, largest = read_logits(Package(decoder), _sequences(), [9, 5], told.append)
    assert len(told) >= 4 and told == sorted(told) and told[-1] == 1.0
    whole = Package(decoder)
    for sequence, logits, count in zip(_sequences(), found, (9, 5), strict=True):
        cache = CoreMLCache(whole)
        first = cache.append(sequence[: len(sequence) - count + 1])
        rest = cache.append_all(sequence[len(sequence) - count + 1 :])
        wanted = np.concatenate([first[None], rest])
        assert logits.shape == (count, TINY_TEXT.vocab)
        assert np.abs(logits - wanted).max() < 5e-3 * np.abs(wanted).max()
    assert 1 < largest < 1000
    with pytest.raises(ExportError, match="read it again"):
        next(whole.parts(1))


def test_the_tail_begins_at_the_newest_token(decoder: Path) -> None:
    layers, tail = Package(decoder).parts(1 << 40, before=LAST)
    assert len(tail.takes) == 1 and tail.gives == ("logits",)
    assert {f"{name}.{row}.next" for name in ("key_cache", "value_cache") for row in (0, 1)} < set(
        layers.gives
    )


def test_a_state_that_is_read_twice(
    source: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake that coremltools lets through: equal reads are merged, and a layer sees the
    state as it was before the step.  In whole sequences, which begin with an empty one, and token
    by token the program then says different things."""
    real = DecoderMil._kept

    def stale(self: DecoderMil, at: int, layer: int, new: object) -> object:
        before = self._held[at]
        real(self, at, layer, new)
        held = self._held[at] if layer == 0 else before  # layer 1 looks at what layer 0 left
        heads, dim = self._spec.kv_heads, self._spec.head_dim
        end = self._vector(layer + 1, heads, self._end, dim)
        return mb.slice_by_index(x=held, begin=[layer, 0, 0, 0], end=end)

    monkeypatch.setattr(DecoderMil, "_kept", stale)
    write_decoder(source, 8, tmp_path / "stale.mlpackage")
    monkeypatch.setattr(coreml_parts, "_BUDGET", 100_000)
    with pytest.raises(ExportError, match="token by token than at once"):
        read_logits(Package(tmp_path / "stale.mlpackage"), _sequences(), [9, 5])


def test_what_would_leave_float16_is_seen(decoder: Path) -> None:
    """Scores of 65,504 and more are infinite on a phone; here they are numbers, and told."""
    sequence = _sequences()[0]
    _, usual = read_logits(Package(decoder), [sequence], [2])
    sequence[3] *= 20_000
    _, largest = read_logits(Package(decoder), [sequence], [2])
    assert usual < 1000 and largest > 20_000


def test_no_number_is_refused(decoder: Path) -> None:
    sequence = _sequences()[0]
    sequence[3] = np.nan
    with pytest.raises(ExportError):
        read_logits(Package(decoder), [sequence], [9])
