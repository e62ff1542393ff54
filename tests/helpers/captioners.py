"""The smallest CoCa, as a model_cfg of open_clip's."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["COCA", "TEXT", "write_config"]

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 1}
COCA = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "attentional_pool": True,
        "attn_pooler_heads": 4, "output_tokens": True,
    },
    "text_cfg": TEXT | {"embed_cls": True, "output_tokens": True},
    "multimodal_cfg": TEXT | {"attn_pooler_heads": 4},
    "custom_text": True,
}  # fmt: skip


def write_config(folder: Path, name: str = "coca_tiny") -> Path:
    """NAME.json with it."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(COCA))
    return path
