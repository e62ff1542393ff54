"""Tokenizer, template and what ends a reply, as the readers of each layout look for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.vlm import Checkpoint
from galago.export.transformers_js import IMAGE, chat_template, tokenizer_json
from galago.specs import VLMSpec
from galago.text.chat import IM_END
from galago.text.tokens import Tokenizer

__all__ = ["ends_of", "generation_config", "image_processor", "token_files", "write_json_files"]

_PAD = "<|endoftext|>"


def ends_of(spec: VLMSpec, tokenizer: Tokenizer) -> list[int]:
    """Every id that ends a reply."""
    end = tokenizer.token_id(IM_END)
    return sorted({*spec.eos_ids, *([] if end is None else [end])})


def generation_config(spec: VLMSpec, tokenizer: Tokenizer, never: int | None) -> dict[str, Any]:
    """`never`: the id of `<image>` where it has a row of zeros that no reply may choose."""
    ends = ends_of(spec, tokenizer)
    pad = tokenizer.token_id(_PAD)
    found: dict[str, Any] = {
        "eos_token_id": ends,
        "pad_token_id": pad if pad is not None else (ends or [0])[0],
        "do_sample": False,
    }
    return found if never is None else found | {"suppress_tokens": [never]}


def token_files(
    source: Checkpoint,
    tokenizer: Tokenizer,
    image: int | None,
    kind: str,
    *,
    parts: bool = False,
) -> dict[str, Any]:
    """File name -> contents. `image`: the id of `<image>`, None where it has none; `kind`: the
    class that reads them; `parts`: vocabulary and merges as files of their own too, for readers
    older than tokenizer.json."""
    if image is None:
        whole: dict[str, Any] = json.loads(tokenizer.to_json())
        whole["added_tokens"] = [one for one in whole["added_tokens"] if one["content"] != IMAGE]
    else:
        whole = tokenizer_json(tokenizer, image)
    added = whole["added_tokens"]
    template = chat_template(source.spec)
    config = {
        "tokenizer_class": kind,
        "eos_token": IM_END,
        "pad_token": _PAD,
        "model_max_length": source.spec.text.positions,
        "clean_up_tokenization_spaces": False,
        "chat_template": template,
        "added_tokens_decoder": {
            str(one["id"]): {key: value for key, value in one.items() if key != "id"}
            for one in added
        },
    }
    files = {
        "tokenizer.json": whole,
        "tokenizer_config.json": config,
        "chat_template.jinja": template,
    }
    return files | (_parts(whole) if parts else {})


def _parts(whole: Mapping[str, Any]) -> dict[str, Any]:
    added = {one["content"]: one["id"] for one in whole["added_tokens"]}
    model = whole["model"]
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    return {
        "vocab.json": model["vocab"],
        "merges.txt": "".join(f"{line}\n" for line in ["#version: 0.2", *merges]),
        "added_tokens.json": added,
    }


def image_processor(spec: VLMSpec, kind: str, processor: str) -> dict[str, Any]:
    """preprocessor_config.json of the image processor `kind`, within `processor`."""
    image = spec.image
    return {
        "image_processor_type": kind,
        "processor_class": processor,
        "do_convert_rgb": True,
        "do_pad": image.fit == "pad",
        "do_resize": True,
        "size": {"shortest_edge": image.side},
        "do_center_crop": True,
        "crop_size": {"height": image.side, "width": image.side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(image.mean),
        "image_std": list(image.std),
        "resample": {"bilinear": 2, "bicubic": 3}[image.resample],
    }


def write_json_files(folder: Path, files: Mapping[str, Any]) -> None:
    """Texts as they are, anything else as JSON."""
    for name, value in files.items():
        if not isinstance(value, str):
            indent = None if name in ("tokenizer.json", "vocab.json") else 1
            value = json.dumps(value, ensure_ascii=False, indent=indent) + "\n"
        (folder / name).write_text(value, encoding="utf-8")
