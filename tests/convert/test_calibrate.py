"""8-bit vision: ranges hold what is measured, the graph is narrow, and what strays falls back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints import names
from galago.checkpoints.tensors import InMemory
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert import calibrate
from galago.convert.load import load_sessions
from galago.convert.selfcheck import Bounds
from galago.convert.write import convert
from galago.engine.precision import PrecisionPlan
from galago.engine.vlm_sessions import VisionSession
from galago.engine.vlm_weights import Int8Layers, collect, vision_items
from galago.errors import CheckpointError
from tests.helpers.checkpoints import TINY_VISION, WIDE_TEXT, tiny_llava
from tests.helpers.running import unchecked

PLAN = PrecisionPlan("int8", "int8")
# Wide enough that layers come out narrow in more than one stage.
VISION = replace(TINY_VISION, widths=(16, 32, 64, 64, 64))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("m") / "tiny"
    return open_checkpoint(tiny_llava(folder, vision=VISION, text=WIDE_TEXT))


@pytest.fixture(scope="module")
def full(source: Checkpoint) -> dict[str, InMemory]:
    return collect(vision_items(source, "fp32"))


@pytest.fixture(scope="module")
def measured(source: Checkpoint, full: dict[str, InMemory]) -> Any:
    """The ranges of its inputs."""
    return calibrate.measure(full, source.spec, calibrate.pictures(source.spec))


@pytest.fixture
def once(measured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured a second time."""
    monkeypatch.setattr(calibrate, "measure", lambda *_: measured)


@pytest.fixture(scope="module")
def narrow(source: Checkpoint, full: dict[str, InMemory]) -> Callable[[int], Int8Layers]:
    """The layers that bear 8 bits up to a top."""
    return cache(lambda top: calibrate.calibrate(full, source.spec, top))


@pytest.fixture(scope="module")
def theirs(source: Checkpoint, full: dict[str, InMemory]) -> np.ndarray:
    """Features in full precision."""
    return features(full, source, PrecisionPlan("fp32", "fp32"))


def features(tensors: dict[str, InMemory], source: Checkpoint, plan: PrecisionPlan) -> np.ndarray:
    pixels = calibrate.pictures(source.spec)[0]
    return VisionSession(tensors, source.spec, plan).encode(pixels)[0]


def test_ranges_hold_the_inputs(source: Checkpoint, full: dict[str, InMemory]) -> None:
    """Against the picture itself: the stem's last layer sees what the first two make of it."""
    found = calibrate.measure(full, source.spec, calibrate.pictures(source.spec)[:1])
    assert all(len(low) == len(high) == len(mean) for low, high, mean in found.values())
    # The stem, the downsamples, two a block (one in the last stage, see ops.pointwise); no gates.
    assert len(found) == 1 + 4 + 2 * sum(VISION.depths) - VISION.depths[-1]
    for name, (low, high, square) in found.items():
        assert (low <= high).all() and (square <= np.maximum(low**2, high**2) + 1e-6).all(), name
        if name.endswith("fc2"):
            assert low.min() >= -0.18  # what GELU gives is never less


def test_gains_change_nothing_but_rounding(
    source: Checkpoint,
    full: dict[str, InMemory],
    narrow: Callable[[int], Int8Layers],
    theirs: np.ndarray,
) -> None:
    """Divided before and multiplied after: in floating point the same features."""
    chosen = narrow(127)
    assert chosen.gains and set(chosen.gains) <= set(chosen.ranges)
    ours = collect(vision_items(source, "int8", chosen))
    wide = dict(full)
    for name, tensor in ours.items():
        if name.endswith((".range", ".scale")):
            continue
        layer, _, part = name.rpartition(".")
        value = full[name].array
        if f"{layer}.fc1" in chosen.gains or layer in (n[:-3] + "conv" for n in chosen.gains):
            gain = chosen.gains[layer.rpartition(".")[0] + ".fc1"]
            value = value / gain.reshape(-1, *[1] * (value.ndim - 1))
        elif layer in chosen.gains and part == "weight":
            value = value * chosen.gains[layer].reshape(1, -1, 1, 1)
        wide[name] = InMemory("F32", tensor.shape, np.ascontiguousarray(value, np.float32))
    found = features(wide, source, PrecisionPlan("fp32", "fp32"))
    assert np.allclose(found, theirs, rtol=1e-3, atol=1e-3)


def test_narrow_stays_close_and_runs_in_bytes(
    source: Checkpoint, narrow: Callable[[int], Int8Layers], theirs: np.ndarray
) -> None:
    chosen = narrow(calibrate.HALF_TOP)
    ours = collect(vision_items(source, "int8", chosen))
    weights = [t.array for n, t in ours.items() if t.dtype == "I8"]
    assert len(weights) == len(chosen.ranges) > 10
    assert max(int(np.abs(w).max()) for w in weights) == calibrate.HALF_TOP
    session = VisionSession(ours, source.spec, PLAN)
    found = session.encode(calibrate.pictures(source.spec)[0])[0]
    cosine = (theirs * found).sum(-1) / np.linalg.norm(theirs, axis=-1)
    cosine /= np.linalg.norm(found, axis=-1)
    assert cosine.mean() > 0.99
    assert not np.array_equal(theirs, found)
    kinds: Counter[str] = Counter()
    for node in session.runtime_model().get_ops():
        info = node.get_rt_info()
        if info["layerType"].astype(str) == "Convolution":
            kinds[info["runtimePrecision"].astype(str)] += 1
    assert kinds["u8"] + kinds["i8"] == len(chosen.ranges)


def test_a_blurred_layer_stays_wide(
    source: Checkpoint, full: dict[str, InMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "_LEAST_RATIO", 1e9)
    narrow = calibrate.calibrate(full, source.spec, 127)
    assert not narrow.ranges and not narrow.gains
    ours = collect(vision_items(source, "int8", narrow))
    matrices = {name for name in ours if f"{name}.scale" in ours}
    assert not any(name.endswith(".range") for name in ours)
    assert matrices and not any(name.endswith(".fc1.weight") for name in matrices)
    rest = ours.keys() - matrices - {f"{name}.scale" for name in matrices}
    assert {ours[name].dtype for name in rest} == {"BF16"}


def test_matrices_in_bytes_stay_close(source: Checkpoint, theirs: np.ndarray) -> None:
    """Without an 8-bit convolution, so that it holds on every processor."""
    ours = collect(vision_items(source, "int8", Int8Layers({}, {}, 127)))
    found = features(ours, source, PLAN)
    cosine = (theirs * found).sum(-1) / np.linalg.norm(theirs, axis=-1)
    cosine /= np.linalg.norm(found, axis=-1)
    assert cosine.min() > 0.99 and not np.array_equal(theirs, found)


@pytest.mark.parametrize(("top", "kind"), [(127, "I8"), (63, "BF16")])
def test_matrices_are_bytes_where_products_are_exact(
    source: Checkpoint, narrow: Callable[[int], Int8Layers], top: int, kind: str
) -> None:
    """Attention's, the last stage's narrowing layers and the projector's."""
    ours = collect(vision_items(source, "int8", narrow(top)))
    parts = (
        ".qkv.weight",
        ".token_mixer.proj.weight",
        "projector.0.weight",
        "10.0.convffn.fc2.weight",
    )
    for part in parts:
        assert {t.dtype for name, t in ours.items() if name.endswith(part)} == {kind}, part


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(("least", "force"), [(0.5, False), (2.0, False), (2.0, True)])
def test_the_self_check_decides(
    source: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: float, force: bool
) -> None:
    """What passes is kept in 8 bits; what can't pass is converted in floating point, and said.

    Unless it is forced.
    """
    unchecked(monkeypatch)  # of the whole model; that of its vision comes first
    monkeypatch.setattr(calibrate, "BOUNDS", {"int8": Bounds(least, 0.0, 0.0, 100.0)})
    heard: list[str] = []
    out = tmp_path / "out"
    convert(source, out, "int8-int8", lambda stage, share: heard.append(stage), force=force)
    sessions = load_sessions(out, "int8-int8")  # what was asked for finds what came of it
    narrow = least < 1 or force
    assert (sessions.precision.vision == "int8") == narrow
    assert any("strays too far" in stage for stage in heard) == (not narrow)
    assert any("all the same" in stage for stage in heard) == force
    manifest = json.loads((out / "galago.json").read_text())
    ranges = [name for name in manifest["tensors"] if name.endswith(".range")]
    assert bool(ranges) == narrow and all(name.startswith(names.VISION) for name in ranges)
    if not force:
        pixels = calibrate.pictures(source.spec)[0]
        direct = load_sessions(source, "int8-int8").vision.encode(pixels)
        assert np.array_equal(sessions.vision.encode(pixels), direct)


def test_weights_of_8_bits_need_exact_products(
    source: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.convert import load as compiler

    unchecked(monkeypatch)
    monkeypatch.setattr(calibrate, "exact_products", lambda: True)
    convert(source, tmp_path / "out", "int8-int8", force=True)
    monkeypatch.setattr(compiler, "exact_products", lambda: False)
    with pytest.raises(CheckpointError, match="convert the model again"):
        load_sessions(tmp_path / "out")
