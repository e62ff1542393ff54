"""What a folder is that can't be opened as a FastVLM, where fetching it again would not help."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["other_files", "other_tensors", "superfluous"]

_LORA = (
    "holds a LoRA adapter, not the whole model: merge it (merge_and_unload in PEFT) and save the "
    "model as safetensors"
)
_MLX = "is a model for MLX: take the one it was made from, such as apple/FastVLM-0.5B"
# By the endings of their files; what only stands beside a model comes last.
_FILES = (
    (("adapter_config.json", "adapter_model.*"), _LORA),
    (("*.gguf",), "holds a model for llama.cpp (.gguf): take the one it was made from"),
    (
        ("*.bin", "*.pt", "*.pth"),
        "holds pickled weights, which galago never opens; save the model as safetensors",
    ),
    (
        ("*.mlpackage", "*.mlmodelc", "*.onnx", "onnx/*.onnx"),
        "holds an exported model (Core ML or ONNX): take the one it was made from",
    ),
)
# Of the language model and the projector: what galago would leave out, and what means nothing.
_RUN = re.compile(r"(model\.(layers|norm|embed_tokens|mm_projector)|lm_head)\.")
_NOTHING = re.compile(r".*(rotary_emb\.inv_freq|num_batches_tracked|mm_projector\.\d+\.scale)")


def other_files(folder: Path) -> str | None:
    """What a folder without weights in safetensors holds instead, to follow its name; or None."""
    for patterns, line in _FILES:
        if any(True for pattern in patterns for _ in folder.glob(pattern)):
            return line
    return None


def other_tensors(
    names: Iterable[str], config: Mapping[str, Any], metadata: Mapping[str, str]
) -> str | None:
    """What a folder is whose tensors are no FastVLM's, to follow its name; or None."""
    names = list(names)
    if metadata.get("format") == "mlx" or "quantization" in config:
        return _MLX
    if any(".lora_" in name for name in names):
        return _LORA
    if any(name.startswith("base_model.model.") for name in names):
        return (
            "names its tensors as PEFT does (base_model.model.…): save the model inside "
            "(model.merge_and_unload().save_pretrained)"
        )
    return None


def superfluous(names: Iterable[str], needed: Container[str]) -> str | None:
    """A tensor of the language model or the projector that would be left out; or None."""
    extra = (name for name in names if name not in needed and _RUN.match(name))
    return min((name for name in extra if not _NOTHING.fullmatch(name)), default=None)
