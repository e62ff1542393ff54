"""What transformers.js reads beside the graphs: configuration, tokenizer, processor.

Package: https://huggingface.co/docs/transformers.js; read as of its versions 3.7 and 4.3.  The
model's class there is Llava's (`LlavaForConditionalGeneration`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.names import EMBEDDING
from galago.checkpoints.vlm import Checkpoint
from galago.specs import VLMSpec
from galago.text.chat import IM_END
from galago.text.tokens import Tokenizer, load_tokenizer

__all__ = ["IMAGE", "chat_template", "image_row", "tokenizer_json", "write_configuration"]

IMAGE = "<image>"

# ChatML with FastVLM's own system message; content may be a text, or a list of texts and pictures.
_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\n' + SYSTEM + '<|im_end|>\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<image>\n' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def chat_template(spec: VLMSpec) -> str:
    """ChatML for jinja, as galago asks: texts, and lists of texts and pictures."""
    return _TEMPLATE.replace("SYSTEM", json.dumps(spec.prompt.system))


def image_row(checkpoint: Checkpoint, tokenizer: Tokenizer) -> tuple[int, int]:
    """The id of `<image>`, and how many rows the embedding table needs for it.

    The tokenizer's own, else the first that no token has: a row of zeros is added where all are in
    use, as the id goes through the table before the features take its place.
    """
    rows = checkpoint.tensors[EMBEDDING].shape[0]
    known = tokenizer.token_id(IMAGE)
    number = tokenizer.vocab_size if known is None else known
    return number, max(rows, number + 1)


def write_configuration(
    folder: Path, checkpoint: Checkpoint, chunks: Mapping[str, int], half: Mapping[str, str]
) -> None:
    """All JSON files of a folder whose graphs are written.

    `chunks`: graph files with weights beside them, and how many files that are; `half`: the cache's
    type for dtypes that aren't float32.
    """
    spec = checkpoint.spec
    tokenizer = load_tokenizer(checkpoint.folder)
    number, _ = image_row(checkpoint, tokenizer)
    end = tokenizer.token_id(IM_END)
    ends = sorted({*spec.eos_ids, *([] if end is None else [end])})
    files = {
        "config.json": _config(spec, number, chunks, half),
        "generation_config.json": {"eos_token_id": ends, "pad_token_id": 0, "do_sample": False},
        "preprocessor_config.json": _preprocessor(spec),
        "processor_config.json": {
            "processor_class": "LlavaProcessor",
            "image_token": IMAGE,
            "num_additional_image_tokens": 0,
            "patch_size": spec.image.stride,
        },
        "tokenizer.json": tokenizer_json(tokenizer, number),
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": IM_END,
            "pad_token": "<|endoftext|>",
            "model_max_length": spec.text.positions,
            "chat_template": chat_template(spec),
            "clean_up_tokenization_spaces": False,
        },
    }
    for name, value in files.items():
        text = json.dumps(value, ensure_ascii=False, indent=None if name == "tokenizer.json" else 1)
        (folder / name).write_text(text + "\n", encoding="utf-8")


def _config(
    spec: VLMSpec, image_id: int, chunks: Mapping[str, int], half: Mapping[str, str]
) -> dict[str, Any]:
    text = spec.text
    return {
        "architectures": ["LlavaQwen2ForCausalLM"],
        "model_type": "llava_qwen2",
        "image_token_index": image_id,
        "hidden_size": text.hidden,
        "intermediate_size": text.intermediate,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.kv_heads,
        "head_dim": text.head_dim,
        "vocab_size": text.vocab,
        "max_position_embeddings": text.positions,
        "rms_norm_eps": text.rms_eps,
        "rope_theta": text.rope_theta,
        "tie_word_embeddings": text.tied,
        "eos_token_id": list(spec.eos_ids),
        "transformers.js_config": {
            "kv_cache_dtype": dict(half),
            "use_external_data_format": dict(chunks),
        },
    }


def _preprocessor(spec: VLMSpec) -> dict[str, Any]:
    """As near as transformers.js comes: it pads at the right and below, and a browser's canvas
    resamples in its own way.  Who hands over a square of exactly `side` gets exactly what galago
    sees."""
    image = spec.image
    square = {"width": image.side, "height": image.side}
    padded = image.fit == "pad"
    return {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": image.side, "shortest_edge": image.side}
        if padded
        else {"shortest_edge": image.side},
        "do_center_crop": not padded,
        "crop_size": square,
        "do_pad": padded,
        "pad_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": image.mean != (0.0, 0.0, 0.0) or image.std != (1.0, 1.0, 1.0),
        "image_mean": list(image.mean),
        "image_std": list(image.std),
        "resample": {"bilinear": 2, "bicubic": 3}[image.resample],
    }


def tokenizer_json(tokenizer: Tokenizer, image_id: int) -> dict[str, Any]:
    """tokenizer.json with a token for the place of a picture."""
    found: dict[str, Any] = json.loads(tokenizer.to_json())
    if all(token["content"] != IMAGE for token in found["added_tokens"]):
        found["added_tokens"].append(
            {
                "id": image_id,
                "content": IMAGE,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        )
    return found
