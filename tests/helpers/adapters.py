"""Adapters of random numbers, in peft's files, as galago keeps them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from galago.checkpoints.adapter import peft_name
from galago.checkpoints.folders import ADAPTER_BASE, ADAPTER_CONFIG, ADAPTER_WEIGHTS, weight_files
from galago.checkpoints.names import PROJECTOR
from galago.checkpoints.tensors import read_float, to_bf16
from galago.checkpoints.vlm import open_checkpoint
from galago.checkpoints.writing import write_arrays
from galago.disk import file_sha256

__all__ = ["ALPHA", "LAYER", "RANK", "adapter", "matrices"]

LAYER = "model.layers.1.mlp.up_proj"  # the one that "learnt"
RANK, ALPHA = 4, 8


def matrices(base: Path, rank: int = RANK) -> dict[str, np.ndarray]:
    """LoRA of one layer and a projector, under peft's names."""
    source, rng = open_checkpoint(base), np.random.default_rng(0)
    rows, columns = source.tensors[f"{LAYER}.weight"].shape
    return {
        peft_name(f"{LAYER}.lora_A.weight", source.spec): _drawn(rng, (rank, columns)),
        peft_name(f"{LAYER}.lora_B.weight", source.spec): _drawn(rng, (rows, rank)),
        **{
            peft_name(n, source.spec): to_bf16(read_float(t) + np.float32(0.5))
            for n, t in source.tensors.items()
            if n.startswith(PROJECTOR)
        },
    }


def _drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def adapter(base: Path, out: Path, place: str | None = None, **config: Any) -> Path:
    """A folder with it; `place`: what it says of where its base is, else where that is."""
    out.mkdir()
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        if (base / name).exists():
            shutil.copy(base / name, out / name)
    write_arrays(out / ADAPTER_WEIGHTS, matrices(base))
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", **config}
    told["base_model_name_or_path"] = place or str(base)
    (out / ADAPTER_CONFIG).write_text(json.dumps(told))
    files = {
        path.name: {"size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in weight_files(base)
    }
    (out / ADAPTER_BASE).write_text(json.dumps({"format": 1, "files": files}))
    return out
