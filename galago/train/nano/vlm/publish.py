"""A trained checkpoint -> a folder that galago loads: the llava_qwen2 layout, 8 bits and bf16."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from galago.checkpoints.doubt import DOUBT
from galago.checkpoints.names import PROJECTOR, VISION, timm_to_llava
from galago.checkpoints.writing import every_shape, llava_config, write_llava
from galago.specs import FastViTSpec, ImageSpec
from galago.text.tokens import load_tokenizer
from galago.train.nano.config import TrainConfig
from galago.train.nano.folding import all_stored, folded, vision_spec
from galago.train.nano.model import PIXEL_MEAN, PIXEL_STD


def publish(config: TrainConfig, checkpoint: Path, tokenizer: Path, out: Path) -> None:
    """Write tokenizer, weights and configuration to `out`.

    KeyError names a tensor that is missing or has another shape.
    """
    held = torch.load(checkpoint, weights_only=True, map_location="cpu")["model"]
    vision, text = vision_spec(config.vision), config.text.spec
    image = ImageSpec(side=config.side, mean=(PIXEL_MEAN,) * 3, std=(PIXEL_STD,) * 3)
    arrays = all_stored(canonical(held, vision), every_shape(vision, text))
    end = load_tokenizer(tokenizer).token_id("<|im_end|>")
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tokenizer / "tokenizer.json", out / "tokenizer.json")
    (out / DOUBT).unlink(missing_ok=True)  # it was measured with the weights before
    write_llava(out, arrays, llava_config(vision, text, image, end=end, name=config.name))


def canonical(held: dict[str, torch.Tensor], vision: FastViTSpec) -> dict[str, np.ndarray]:
    """torch's names of a VisionLanguageModel -> galago's canonical names, float32."""
    named: dict[str, np.ndarray] = {}
    for name, tensor in folded(held).items():
        part, _, rest = name.partition(".")
        if part == "trunk":
            key = VISION + timm_to_llava(rest, vision)
        elif part == "projector":
            key = PROJECTOR + rest
        elif part == "language":
            key = rest
        else:
            continue
        named[key] = tensor.float().numpy()
    return named
