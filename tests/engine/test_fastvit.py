"""Trunks without torch: outputs written down from timm, folding, shapes, and the compiled graph."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import openvino as ov
import pytest

from galago.checkpoints.names import VISION, vision_shapes
from galago.checkpoints.tensors import InMemory
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.engine.folding import fold
from galago.engine.graph import fastvit
from galago.engine.precision import PrecisionPlan
from galago.engine.vlm_sessions import VisionSession
from galago.engine.vlm_weights import collect, vision_items
from galago.errors import OptionError
from galago.specs import FastViTSpec
from tests.helpers.checkpoints import TINY_VISION, random_array, tiny_llava
from tests.helpers.places import DATA

# Made by timm 1.0.31 (tests/parity/test_trunks.py holds whole outputs against it).
GOLDEN = json.loads((DATA / "trunks.json").read_text())


def spec_of(entry: dict[str, Any]) -> FastViTSpec:
    return FastViTSpec(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})


def folded(spec: FastViTSpec, rng: np.random.Generator) -> dict[str, InMemory]:
    tensors = {n: random_array(rng, n, s) for n, s in vision_shapes(spec).items()}
    return {
        VISION + n: InMemory("F32", a.shape, np.ascontiguousarray(a))
        for n, a in fold(lambda name: tensors[name], spec)
    }


@pytest.mark.parametrize("kind", GOLDEN)
def test_outputs_are_timms(kind: str) -> None:
    golden = GOLDEN[kind]
    spec, rng = spec_of(golden["spec"]), np.random.default_rng(11)
    tensors = folded(spec, rng)
    pixels = rng.random((1, 3, 128, 192), dtype=np.float32)
    model = fastvit.build(tensors, spec, projector=False)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"pixel_values": pixels})[0]
    assert list(found.shape) == golden["shape"]
    assert found.mean() == pytest.approx(golden["mean"], rel=1e-3)
    assert found.std() == pytest.approx(golden["std"], rel=1e-3)
    sample = found.reshape(-1)[:: found.size // 24][:24]
    # 2e-3 of the largest is the bound of the whole project; float32 gives about 1e-6.
    assert np.abs(sample - golden["first"]).max() <= 2e-3 * np.abs(golden["first"]).max()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(tiny_llava(tmp_path_factory.mktemp("m") / "tiny"))


def session(source: Checkpoint, precision: str) -> VisionSession:
    plan = PrecisionPlan(precision, "fp32")  # type: ignore[arg-type]
    tensors = collect(vision_items(source, plan.vision))
    return VisionSession(tensors, source.spec, plan)


@pytest.fixture(scope="module")
def fp32(source: Checkpoint) -> VisionSession:
    return session(source, "fp32")


@pytest.mark.parametrize(("height", "width"), [(256, 256), (64, 64), (320, 448), (512, 512)])
def test_tokens_for_every_size(source: Checkpoint, height: int, width: int) -> None:
    # Sessions of their own: one that sees 64x64 first is wrong for larger pictures afterwards
    # (seen with OpenVINO 2026.4); sides under 256, which specs refuse, are tried only here.
    fp32 = session(source, "fp32")
    pixels = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    found = fp32.encode(pixels)
    assert found.shape == (1, (height // 64) * (width // 64), 64)
    assert found.dtype == np.float32 and np.isfinite(found).all()


def test_batch_is_single_and_pictures_differ(fp32: VisionSession) -> None:
    pixels = np.random.default_rng(0).random((2, 3, 256, 256), dtype=np.float32)
    pixels[1] *= 0.3
    both = fp32.encode(pixels)
    for index in range(2):
        assert np.allclose(both[index], fp32.encode(pixels[index : index + 1])[0], atol=1e-5)
    assert np.abs(both[0] - both[1]).std() > 0.1 * both.std()


def test_encoding_again_gives_the_same(fp32: VisionSession) -> None:
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    first = fp32.encode(pixels)
    fp32.encode(1 - pixels)
    assert np.array_equal(fp32.encode(pixels), first)


@pytest.mark.parametrize("shape", [(3, 256, 256), (1, 1, 256, 256), (1, 3, 250, 256)])
def test_wrong_pixels_are_refused(fp32: VisionSession, shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="multiples of 64"):
        fp32.encode(np.zeros(shape, np.float32))


def test_bf16_stays_close(source: Checkpoint, fp32: VisionSession) -> None:
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    a, b = fp32.encode(pixels)[0], session(source, "bf16").encode(pixels)[0]
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert cosine.min() > 0.999


def test_a_graph_of_bf16_tensors_is_the_same_network(
    source: Checkpoint, fp32: VisionSession
) -> None:
    """Built here on every processor; sessions use it where bf16 is multiplied."""
    tensors = collect(vision_items(source, "bf16"))
    graph = fastvit.build(tensors, source.spec.vision, kind="bf16")
    compiled = ov.Core().compile_model(graph, "CPU")
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    a, b = fp32.encode(pixels)[0], compiled({"pixel_values": pixels})[0][0]
    assert b.dtype == np.float32
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert cosine.min() > 0.999


def test_the_graph_is_fused(fp32: VisionSession) -> None:
    """Norms are folded away, biases and GELU ride on convolutions, attention is one node."""
    kinds: Counter[str] = Counter(
        node.get_rt_info()["layerType"].astype(str) for node in fp32.runtime_model().get_ops()
    )
    attention = sum(
        d for d, m in zip(TINY_VISION.depths, TINY_VISION.mixers, strict=True) if m == "attention"
    )
    # The plug-in takes scores, softmax and mixing into one generated kernel ("Subgraph").
    assert kinds["Subgraph"] == attention
    assert kinds["MVN"] == attention
    assert kinds["Softmax"] == kinds["MatMul"] == kinds["BatchNormInference"] == 0
    # Stem 3; downsamples 2 each and the expansion 1, and one more where two channels are made of
    # each; position encodings, blocks, and the expansion's gates.
    widths = TINY_VISION.widths
    more = sum(2 * one == two for one, two in pairwise((*widths, TINY_VISION.features)))
    blocks = sum(TINY_VISION.depths)
    mixers = blocks - attention
    products = TINY_VISION.depths[-1]  # the last stage's narrowing layers
    assert kinds["Convolution"] == 3 + 2 * 4 + more + 2 + 3 * blocks + mixers + 3 - products
    assert kinds["FullyConnected"] == 2 * attention + products + 2  # and the projector
