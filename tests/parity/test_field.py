"""The field's towers and decoders: timm's and transformers' say the same as galago's graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openvino as ov
import pytest
import timm
import torch

from galago.bench.field import models, ours, peers
from galago.bench.field.graphs import build
from galago.bench.field.models import DECODERS, TOWERS, Decoder
from galago.bench.field.modules import decoder_model, tower_model
from galago.bench.field.ours import random_decoder, tower_weights
from galago.bench.field.towers import ConvNeXt, Plain, Tower, ViTamin, shapes
from galago.checkpoints.tensors import InMemory, read_float
from galago.specs import FastViTSpec, Qwen2Spec

# Each kind, narrow.
SMALL: dict[str, Tower] = {
    "clip": Plain(64, 2, 4, 256, 14, class_token=True, pre_norm=True, eps=1e-5),
    "dino": Plain(64, 2, 4, 256, 14, class_token=True, scaled=True),
    "siglip": Plain(72, 2, 4, 269, 14, pooled=True),
    "unpooled": Plain(72, 2, 4, 269, 16),
    "convnext": ConvNeXt((1, 1, 2, 1), (16, 32, 64, 128)),
    "five stages": ConvNeXt((1, 1, 2, 1, 2), (16, 32, 64, 128, 256)),
    "vitamin": ViTamin(16, (1, 2), 64, 2, 4),
}
TINY = Qwen2Spec(64, 128, 2, 4, 2, 300, tied=False)


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    """A row sets torch up for its whole process, which other tests share here."""
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    yield
    torch.set_num_threads(threads)
    torch.set_grad_enabled(grad)


def loud(weights: dict[str, InMemory]) -> dict[str, InMemory]:
    """Biases and norms that show, too."""
    rng = np.random.default_rng(3)
    changed = {}
    for name, one in weights.items():
        array = one.array + 0.1 * rng.standard_normal(one.shape)
        changed[name] = InMemory("F32", one.shape, array.astype(np.float32))
    return changed


@pytest.mark.parametrize("kind", SMALL)
def test_towers_say_the_same_as_timms(kind: str) -> None:
    tower, side = SMALL[kind], 112 if "s" not in kind else 128
    weights = loud(tower_weights(tower, side))
    module = tower_model(tower, side)
    state = {f"inner.{name}": torch.from_numpy(one.array) for name, one in weights.items()}
    module.load_state_dict(state, strict=True, assign=True)  # every name is known to both
    pixels = np.random.default_rng(0).random((2, 3, side, side), dtype=np.float32)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    found = ov.Core().compile_model(build(weights, tower), "CPU", settings)([pixels])[0]
    with torch.inference_mode():
        wanted = module(torch.from_numpy(pixels)).numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


# Of timm's names: what a row of models.TOWERS says its shapes are.
NAMED = {
    "SigLIP-SO400M/14, pooled": ("vit_so400m_patch14_siglip_384", 384),
    "SigLIP-B/16, pooled": ("vit_base_patch16_siglip_512", 512),
    "ConvNeXt-L": ("convnext_large", 224),
    "ConvNeXt-XXL": ("convnext_xxlarge", 256),
    "DINOv2 ViT-L/14": ("vit_large_patch14_dinov2", 518),
    "CLIP ViT-L/14": ("vit_large_patch14_clip_336", 336),
    "CLIP ViT-B/16": ("vit_base_patch16_clip_224", 224),
    "ViTamin-L": ("vitamin_large_384", 384),
}


@pytest.mark.parametrize("name", NAMED)
def test_published_towers_have_timms_shapes(name: str) -> None:
    known, side = NAMED[name]
    with torch.device("meta"):
        module = timm.create_model(known)
    wanted = {n: tuple(p.shape) for n, p in module.state_dict().items() if "head." not in n}
    assert shapes(TOWERS[name][0], side) == wanted


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_decoders_say_the_same_as_transformers(kind: Any) -> None:
    told = Decoder(TINY, kind, "")
    weights = random_decoder(told, "fp32")
    module = decoder_model(told)
    prefix = {"lm_head.weight": "lm_head.weight"}
    state = {prefix.get(n, n): torch.from_numpy(read_float(t)) for n, t in weights.items()}
    state["model.embed_tokens.weight"] = torch.zeros(TINY.vocab, TINY.hidden)
    missing = module.load_state_dict(state, strict=False, assign=True)
    assert not missing.unexpected_keys and not missing.missing_keys
    module.config.rope_theta = TINY.rope_theta
    embeds = np.random.default_rng(1).standard_normal((9, TINY.hidden)).astype(np.float32)
    spec = ours.session(told, "fp32", 1)
    found = spec.new_cache().append(embeds)
    with torch.inference_mode():
        wanted = module(inputs_embeds=torch.from_numpy(embeds)[None]).logits[0, -1].numpy()
    assert np.abs(found - wanted).max() <= 1e-3 * np.abs(wanted).max()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, tower in SMALL.items():
        monkeypatch.setitem(models.TOWERS, name, (tower, ""))
    fast = FastViTSpec(
        (1, 1, 1, 1, 1), (16, 32, 64, 64, 128), TOWERS["FastViTHD"][0].mixers, (4.0,) * 5,
        (False,) * 5,
    )  # fmt: skip
    monkeypatch.setitem(models.TOWERS, "fast", (fast, ""))
    for kind in ("qwen2", "llama", "phi"):
        spec = TINY if kind != "phi" else Qwen2Spec(64, 128, 2, 4, 4, 300, tied=False)
        monkeypatch.setitem(models.DECODERS, kind, Decoder(spec, kind, ""))  # type: ignore[arg-type]


ASKED = {"threads": 1, "runs": 1, "known": 8, "decoded": 2, "precision": "fp32"}


@pytest.mark.parametrize("name", ["clip", "siglip", "five stages", "vitamin", "fast"])
def test_towers_are_timed_in_both_engines(tiny: None, name: str) -> None:
    sizes = ["128x1", "128x3"] if name in ("vitamin", "siglip", "clip") else ["128x1", "256x2"]
    asked = ASKED | {"tower": name, "sizes": sizes}
    for engine in (ours, peers):
        found = engine.tower(asked)
        assert set(found["points"]) == set(sizes) and "left_out" not in found
        assert found["gflop"][sizes[1]] > found["gflop"][sizes[0]]


@pytest.mark.parametrize("name", ["qwen2", "llama", "phi"])
def test_decoders_are_timed_in_both_engines(tiny: None, name: str) -> None:
    asked = ASKED | {"decoder": name, "sizes": ["16", "40"]}
    for engine in (peers,) if name == "phi" else (ours, peers):
        found = engine.decoder(asked)
        assert set(found["points"]) == {"16", "40"} and len(found["samples"]["decode"]) == 2
    assert DECODERS[name].spec.layers == 2
