"""A trained two-tower checkpoint -> a folder in the open_clip layout that galago loads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from galago.clip_checkpoint import CONFIG, WEIGHTS, clip_shapes, read_clip_spec
from galago.layout import CLIP_TRUNK
from galago.safetensors import Entry, SafetensorsWriter
from galago.train.config import ClipTrainConfig
from galago.train.model import PIXEL_MEAN, PIXEL_STD
from galago.train.publish import KINDS, folded, stored, vision_spec


def publish_clip(config: ClipTrainConfig, checkpoint: Path, out: Path) -> None:
    """Write weights and configuration to `out`; KeyError names a tensor that is missing."""
    held = torch.load(checkpoint, weights_only=True, map_location="cpu")["model"]
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(json.dumps(_config(config), indent=1))
    named = _named(folded(held))
    arrays: dict[str, np.ndarray] = {}
    for name, shape in clip_shapes(read_clip_spec(out)).items():
        if named[name].shape != shape:
            raise KeyError(f"{name} has shape {named[name].shape}, expected {shape}")
        # Its own name in the published layout has no dot there.
        arrays |= stored(name.replace(".in_proj.", ".in_proj_"), named[name])
    plan = {name: Entry(KINDS[array.dtype.name], array.shape) for name, array in arrays.items()}
    writer = SafetensorsWriter(out / WEIGHTS, plan, {"format": "pt"})
    for name, array in arrays.items():
        writer.append(name, array)
    writer.close()


def _named(held: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """torch's names of a ClipModel -> those of clip_shapes, float32."""
    named: dict[str, np.ndarray] = {}
    for name, tensor in held.items():
        part, _, rest = name.partition(".")
        key = {
            "trunk": CLIP_TRUNK + rest,
            "project": f"{CLIP_TRUNK}head.fc.{rest}",
            "text": "text." + rest.replace(".in_proj_", ".in_proj."),
            "logit_scale": "logit_scale",
        }.get(part)
        if key is not None:
            named[key] = tensor.float().numpy()
    return named


def _config(config: ClipTrainConfig) -> dict[str, object]:
    clip = config.clip
    return {
        "model_cfg": {
            "embed_dim": clip.embed,
            "vision_cfg": {"image_size": config.side},
            "text_cfg": {
                "context_length": clip.context,
                "vocab_size": clip.vocab,
                "width": clip.width,
                "heads": clip.heads,
                "layers": clip.layers,
            },
            "galago": {
                "format": 1,
                "name": config.name,
                "vision": dataclasses.asdict(vision_spec(config.vision)),
            },
        },
        "preprocess_cfg": {
            "mean": [PIXEL_MEAN] * 3,
            "std": [PIXEL_STD] * 3,
            "interpolation": "bilinear",
            "resize_mode": "shortest",
        },
    }
