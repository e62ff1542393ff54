"""A trained checkpoint -> a folder that galago loads: the llava_qwen2 layout in bfloat16."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from galago import layout, quantise
from galago.safetensors import Entry, SafetensorsWriter
from galago.specs import FastViTSpec, ImageSpec, Qwen2Spec
from galago.tokens import load_tokenizer
from galago.train.config import TrainConfig


def publish(config: TrainConfig, checkpoint: Path, tokenizer: Path, out: Path) -> None:
    """Write weights, config and tokenizer to `out`; KeyError names a tensor that is missing."""
    held = torch.load(checkpoint, weights_only=True, map_location="cpu")["model"]
    vision, text = vision_spec(config), text_spec(config)
    tensors = canonical(held, vision)
    wanted = {layout.VISION + n: s for n, s in layout.vision_shapes(vision).items()}
    wanted |= layout.projector_shapes(vision.features, (text.hidden, text.hidden))
    wanted |= layout.text_shapes(text)
    out.mkdir(parents=True, exist_ok=True)
    plan = {name: Entry("BF16", shape) for name, shape in wanted.items()}
    writer = SafetensorsWriter(out / "model.safetensors", plan, {"format": "pt"})
    for name, shape in wanted.items():
        array = tensors[name]
        if array.shape != shape:
            raise KeyError(f"{name} has shape {array.shape}, expected {shape}")
        writer.append(name, quantise.to_bf16(array))
    writer.close()
    shutil.copyfile(tokenizer / "tokenizer.json", out / "tokenizer.json")
    end = load_tokenizer(tokenizer).token_id("<|im_end|>")
    (out / "config.json").write_text(json.dumps(_config(config, vision, text, end), indent=1))


def vision_spec(config: TrainConfig) -> FastViTSpec:
    return FastViTSpec(
        depths=config.vision.depths,
        widths=config.vision.widths,
        mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
        mlp_ratios=config.vision.mlp_ratios,
        se_downsamples=(False,) * 5,
    )


def text_spec(config: TrainConfig) -> Qwen2Spec:
    text = config.text
    return Qwen2Spec(
        text.hidden, text.intermediate, text.layers, text.heads, text.kv_heads, text.vocab
    )


def canonical(held: dict[str, torch.Tensor], vision: FastViTSpec) -> dict[str, np.ndarray]:
    """torch's names of a VisionLanguageModel -> galago's canonical names, float32."""
    named: dict[str, np.ndarray] = {}
    for name, tensor in held.items():
        part, _, rest = name.partition(".")
        if part == "trunk":
            key = layout.VISION + layout.timm_to_llava(rest, vision)
        elif part == "projector":
            key = layout.PROJECTOR + rest
        elif part == "language":
            key = rest
        else:
            continue
        named[key] = tensor.float().numpy()
    return named


def _config(
    config: TrainConfig, vision: FastViTSpec, text: Qwen2Spec, end: int | None
) -> dict[str, object]:
    block = {
        "format": 1,
        "name": config.name,
        "vision": dataclasses.asdict(vision),
        "image": dataclasses.asdict(ImageSpec(side=config.side)),
    }
    return {
        "model_type": "llava_qwen2",
        "mm_vision_tower": f"mobileclip_l_{config.side}",
        "mm_hidden_size": vision.features,
        "mm_projector_type": "mlp2x_gelu",
        "image_aspect_ratio": "pad",
        "hidden_size": text.hidden,
        "intermediate_size": text.intermediate,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.kv_heads,
        "vocab_size": text.vocab,
        "rope_theta": text.rope_theta,
        "rms_norm_eps": text.rms_eps,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "eos_token_id": end,
        "galago": block,
    }
