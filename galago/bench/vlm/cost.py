"""The work in a model: operations of its parts, bytes that a token reads.

Counted from the tensors' shapes: a multiplication and an addition are two operations. Norms,
activations and the softmax are left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.folders import MANIFEST
from galago.checkpoints.names import slots, text_shapes, vision_shapes
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import Entry
from galago.convert.folder import TENSORS
from galago.engine.processor import native_bf16
from galago.specs import FastViTSpec, Qwen2Spec, VLMSpec

__all__ = [
    "costs",
    "decoder_weights",
    "prefill_operations",
    "siglip_operations",
    "token_bytes",
    "vision_operations",
]


def vision_operations(spec: FastViTSpec, side: int) -> float:
    """Of a trunk on one picture of side x side pixels."""
    stages = {slot.index: slot.stage for slot in slots(spec)}
    last = len(spec.depths) - 1
    total = 0.0
    for name, shape in vision_shapes(spec).items():
        if len(shape) in (2, 4):
            total += 2 * math.prod(shape) * _positions(name, side, stages, last)
    for stage, mixer in enumerate(spec.mixers):
        if mixer == "attention":
            tokens = (side // (4 << stage)) ** 2
            total += 4 * spec.depths[stage] * spec.widths[stage] * tokens**2
    return total


def _positions(name: str, side: int, stages: dict[int, int], last: int) -> int:
    """Where a convolution's kernel is put."""
    if ".se." in name:
        return 1
    if name.startswith("patch_embed"):
        return (side // (2 if name.startswith("patch_embed.0") else 4)) ** 2
    stage = stages[int(name.split(".")[1])] if name.startswith("network") else last
    return (side // (4 << stage)) ** 2


def prefill_operations(spec: Qwen2Spec, tokens: int, known: int = 0) -> float:
    """Of a decoder that reads `tokens` after `known` ones, and of one position's logits."""
    seen = tokens * known + tokens * (tokens + 1) / 2
    attention = 4 * spec.hidden * spec.layers * seen
    head = spec.vocab * spec.hidden
    return 2.0 * (decoder_weights(spec) - head) * tokens + attention + 2.0 * head


def decoder_weights(spec: Qwen2Spec) -> int:
    """Numbers in the matrices that every token is multiplied with, the output projection too."""
    shapes = text_shapes(spec).items()
    layers = sum(math.prod(s) for n, s in shapes if n.startswith("model.layers.") and len(s) == 2)
    return layers + spec.vocab * spec.hidden


def siglip_operations(
    crops: int, *, width: int, hidden: int, layers: int, side: int, patch: int
) -> float:
    """Of a plain vision transformer on `crops` pictures."""
    tokens = (side // patch) ** 2
    layer = 2 * tokens * (4 * width**2 + 2 * width * hidden) + 4 * tokens**2 * width
    return float(crops * (layers * layer + 2 * tokens * 3 * patch**2 * width))


def token_bytes(folder: Path) -> int:
    """Bytes of weights that one token of a converted model reads; the cache comes on top."""
    read = ("model.layers.", "model.norm.", "lm_head.")
    tensors = SafetensorsFile(folder / TENSORS).tensors
    return sum(Entry(t.dtype, t.shape).size for n, t in tensors.items() if n.startswith(read))


def costs(spec: VLMSpec, model: str, side: int, fed: int, known: int) -> dict[str, Any]:
    """What a reply costs, and what the self-check said of a converted model.

    A model that isn't a converted folder (the embedded one) has no bytes a token: so small a one
    stays in the processor's caches.
    """
    found: dict[str, Any] = {
        "vision_gflop": vision_operations(spec.vision, side) / 1e9,
        "prefill_gflop": prefill_operations(spec.text, fed, known) / 1e9,
    }
    manifest = Path(model) / MANIFEST
    if manifest.is_file():
        head: Mapping[str, Any] = json.loads(manifest.read_text("utf-8"))
        text = spec.text
        narrow = native_bf16() and head["precision"]["language"] != "fp32"
        numbers = 2 * text.layers * text.kv_heads * text.head_dim * (fed + known)
        cache = numbers * (2 if narrow else 4)
        found |= {
            "token_bytes": token_bytes(Path(model)) + cache,
            "weight_bytes": (Path(model) / TENSORS).stat().st_size,
            "self_check": head.get("self_check"),
        }
    return found
