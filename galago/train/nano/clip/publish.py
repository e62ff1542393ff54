"""A trained two-tower checkpoint -> a folder in the open_clip layout that galago loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from galago.checkpoints.clip_config import clip_image_spec
from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.doubt import DOUBT
from galago.checkpoints.names import CLIP_TRUNK
from galago.checkpoints.writing import write_open_clip
from galago.specs import ClipSpec
from galago.train.nano.config import ClipTrainConfig
from galago.train.nano.folding import all_stored, folded, vision_spec
from galago.train.nano.model import PIXEL_MEAN, PIXEL_STD


def publish_clip(config: ClipTrainConfig, checkpoint: Path, out: Path) -> None:
    """Write weights and configuration to `out`.

    KeyError names a tensor that is missing or has another shape.
    """
    held = torch.load(checkpoint, weights_only=True, map_location="cpu")["model"]
    spec = clip_spec(config)
    (out / DOUBT).unlink(missing_ok=True)  # it was measured with the weights before
    write_open_clip(out, all_stored(canonical(held), clip_shapes(spec)), spec)


def clip_spec(config: ClipTrainConfig) -> ClipSpec:
    """The model as galago knows it once it is published."""
    vision = vision_spec(config.vision)
    mean, std = (PIXEL_MEAN,) * 3, (PIXEL_STD,) * 3
    image = clip_image_spec(config.side, vision.stride, mean, std, "bilinear")
    return ClipSpec(config.name, vision, config.clip.spec, image, config.clip.embed)


def canonical(held: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """torch's names of a ClipModel -> those of clip_shapes, float32."""
    named: dict[str, np.ndarray] = {}
    for name, tensor in folded(held).items():
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
