"""What transformers.js reads beside a MobileCLIP's graphs: CLIP's configuration and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.clip import ClipCheckpoint
from galago.specs import ImageSpec
from galago.text.clip_tokens import ClipTokenizer, load_clip_tokenizer

__all__ = ["write_clip_configuration"]

_START, _END = "<|startoftext|>", "<|endoftext|>"


def write_clip_configuration(
    folder: Path, source: ClipCheckpoint, chunks: Mapping[str, int]
) -> None:
    """All JSON files of a folder whose graphs are written.

    Classes: `CLIPVisionModelWithProjection` and `CLIPTextModelWithProjection`.
    """
    spec = source.spec
    tokenizer = load_clip_tokenizer(spec.text.vocab)
    files = {
        "config.json": {
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": spec.embed,
            "logit_scale_init_value": source.logit_scale,
            "text_config": {
                "model_type": "clip_text_model",
                "hidden_size": spec.text.width,
                "vocab_size": spec.text.vocab,
                "max_position_embeddings": spec.text.context,
            },
            "vision_config": {"model_type": "clip_vision_model", "image_size": spec.image.side},
            "transformers.js_config": {"use_external_data_format": dict(chunks)},
        },
        "preprocessor_config.json": _preprocessor(spec.image),
        "tokenizer.json": _tokenizer(tokenizer),
        "tokenizer_config.json": {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": spec.text.context,
            "bos_token": _START,
            "eos_token": _END,
            "pad_token": "!",  # id 0, as CLIP pads
        },
    }
    for name, value in files.items():
        text = json.dumps(value, ensure_ascii=False, indent=None if name == "tokenizer.json" else 1)
        (folder / name).write_text(text + "\n", encoding="utf-8")


def _preprocessor(image: ImageSpec) -> dict[str, Any]:
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": image.side},
        "do_center_crop": True,
        "crop_size": {"height": image.side, "width": image.side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": image.mean != (0.0, 0.0, 0.0) or image.std != (1.0, 1.0, 1.0),
        "image_mean": list(image.mean),
        "image_std": list(image.std),
        "resample": {"bilinear": 2, "bicubic": 3}[image.resample],
    }


def _tokenizer(tokenizer: ClipTokenizer) -> dict[str, Any]:
    """galago's own, with start and end put around each text.

    What galago mends before (full-width letters, HTML entities) is left out: lower case, one blank.
    """
    found: dict[str, Any] = json.loads(tokenizer.to_json())
    ends = ((tokenizer.start, _START), (tokenizer.end, _END))
    for number, name in ends:
        found["model"]["vocab"][name] = number
        found["added_tokens"].append(
            {
                "id": number,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        )
    blanks = {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}
    found["normalizer"] = {
        "type": "Sequence",
        "normalizers": [{"type": "NFC"}, blanks, {"type": "Lowercase"}],
    }
    start, text, end = (
        {"SpecialToken": {"id": _START, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": _END, "type_id": 0}},
    )
    found["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [start, text, end],
        "pair": [text, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]} for number, name in ends
        },
    }
    return found
