"""FastViT trunks against timm's own, from the same random tensors."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from galago import specs
from galago.checkpoints.names import VISION, llava_to_timm, timm_to_llava, vision_shapes
from galago.checkpoints.tensors import InMemory
from galago.engine.folding import fold
from galago.engine.graph import fastvit
from galago.specs import FastViTSpec
from tests.helpers.checkpoints import random_array
from tests.helpers.measure import relative

# Each kind as published, with fewer and narrower blocks so that it runs in a second.
SMALL: dict[str, FastViTSpec] = {
    "fastvit_mci0": specs.FastViTSpec(
        (2, 1, 2, 2), (16, 32, 64, 128), specs.MCI0.mixers, specs.MCI0.mlp_ratios,
        specs.MCI0.se_downsamples, "batch",
    ),
    "fastvit_mci1": specs.FastViTSpec(
        (1, 2, 1, 1), (24, 48, 96, 192), specs.MCI1.mixers, specs.MCI1.mlp_ratios,
        specs.MCI1.se_downsamples, "batch",
    ),
    "fastvit_mci2": specs.FastViTSpec(
        (1, 1, 3, 1), (40, 80, 160, 320), specs.MCI2.mixers, specs.MCI2.mlp_ratios,
        specs.MCI2.se_downsamples, "batch",
    ),
    "fastvit_mci3": specs.FastViTSpec(
        (1, 2, 2, 1, 1), (24, 48, 96, 96, 192), specs.MCI3.mixers, specs.MCI3.mlp_ratios,
        specs.MCI3.se_downsamples,
    ),
    "fastvit_mci4": specs.FastViTSpec(
        (1, 1, 1, 2, 2), (32, 64, 64, 128, 256), specs.MCI4.mixers, specs.MCI4.mlp_ratios,
        specs.MCI4.se_downsamples,
    ),
}  # fmt: skip
FULL = {
    "fastvit_mci0": specs.MCI0,
    "fastvit_mci1": specs.MCI1,
    "fastvit_mci2": specs.MCI2,
    "fastvit_mci3": specs.MCI3,
    "fastvit_mci4": specs.MCI4,
}


def reference(kind: str, spec: FastViTSpec | None = None) -> torch.nn.Module:
    """timm's trunk of that kind, fused, without a classifier."""
    reshaped = {} if spec is None else {"layers": spec.depths, "embed_dims": spec.widths}
    model = timm.create_model(kind, inference_mode=True, num_classes=0, global_pool="", **reshaped)
    return model.eval()


def load(model: torch.nn.Module, tensors: dict[str, np.ndarray], spec: FastViTSpec) -> None:
    """Every tensor of ours into timm's module; nothing may be left over but counters."""
    renamed = {llava_to_timm(n, spec): torch.from_numpy(a) for n, a in tensors.items()}
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)


@pytest.mark.parametrize("kind", FULL)
def test_names_and_shapes_are_timms(kind: str) -> None:
    with torch.device("meta"):
        theirs = reference(kind).state_dict()
    spec = FULL[kind]
    ours = {llava_to_timm(n, spec): s for n, s in vision_shapes(spec).items()}
    assert ours == {
        n: tuple(t.shape) for n, t in theirs.items() if not n.endswith("num_batches_tracked")
    }
    assert all(timm_to_llava(n, spec) in vision_shapes(spec) for n in ours)


@pytest.mark.parametrize("size", [(1, 256, 256), (2, 192, 320)])
@pytest.mark.parametrize("kind", SMALL)
def test_trunk(kind: str, size: tuple[int, int, int], report) -> None:
    import openvino as ov

    spec = SMALL[kind]
    rng = np.random.default_rng(7)
    tensors = {n: random_array(rng, n, s) for n, s in vision_shapes(spec).items()}
    model = reference(kind, spec)
    load(model, tensors, spec)
    batch, height, width = size
    pixels = rng.random((batch, 3, height, width), dtype=np.float32)
    with torch.inference_mode():
        wanted = model.forward_features(torch.from_numpy(pixels)).numpy()
    folded = {
        VISION + n: InMemory("F32", a.shape, np.ascontiguousarray(a))
        for n, a in fold(lambda name: tensors[name], spec)
    }
    graph = fastvit.build(folded, spec, projector=False)
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"pixel_values": pixels})[0]
    assert found.shape == wanted.shape
    # The image must matter: a trunk that ignores it would agree too.
    assert wanted.std(axis=(2, 3)).mean() > 0.02 * np.abs(wanted).mean()
    assert report(f"{kind} {height}x{width} features", relative(found, wanted)) < 2e-3
