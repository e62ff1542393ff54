"""What was learnt as an adapter: peft's two files, which base they change, and the base's texts.

galago.checkpoints.adapter reads it back; so do peft and, of its own layout, transformers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from galago.checkpoints.adapter import peft_name
from galago.checkpoints.folders import ADAPTER_BASE, ADAPTER_CONFIG, ADAPTER_WEIGHTS, weight_files
from galago.checkpoints.names import PROJECTOR, VISION
from galago.checkpoints.tensors import Array, Entry, Float, LazyTensor, read_float
from galago.checkpoints.vlm import Checkpoint
from galago.checkpoints.writing import write_runs
from galago.disk import file_sha256
from galago.hub.resolve import ResolvedModel
from galago.train.tune.publish import fitted, write_texts

__all__ = ["follow", "place_of", "write_adapter"]

# Parts that learn whole, and what they are called in the models of the two layouts.
_WHOLE = {
    PROJECTOR: {"fast_vlm": "multi_modal_projector", "llava": "mm_projector"},
    VISION: {"fast_vlm": "vision_tower", "llava": "vision_tower"},
}


def place_of(model: ResolvedModel) -> str:
    """Where the base is, as peft has it: a hub name, a folder, or an embedded model's name."""
    if model.embedded:
        return model.name
    if model.remote:
        return model.row.repo or model.name if model.row else model.name
    return str(model.folder.resolve())


def write_adapter(
    source: Checkpoint,
    model: ResolvedModel,
    config: Mapping[str, Any],
    matrices: Mapping[str, Float],
    changed: Mapping[str, Float],
    folder: Path,
    name: str,
    side: int,
) -> None:
    """`config` is peft's of LoRA, `matrices` what LoRA learnt (canonical names with lora_A and
    lora_B), `changed` what else learnt (canonical names), for pictures of `side` pixels.

    SelfCheckError for a weight that is no number, or too large for the type that the base has.
    """
    parts = [part for part in _WHOLE if any(name.startswith(part) for name in changed)]
    plan: dict[str, Entry] = {}
    make: dict[str, Callable[[str], Array]] = {}

    def learnt(name: str, dtype: str) -> Array:
        return fitted(name, matrices[name], dtype)

    def whole(name: str, dtype: str) -> Array:
        array = changed[name] if name in changed else read_float(source.tensors[name])
        return fitted(name, array, dtype)

    for key in matrices:
        raw = peft_name(key, source.spec)
        plan[raw], make[raw] = Entry("F32", _shape(key, config["r"], source)), partial(learnt, key)
    for key, tensor in source.tensors.items():
        if not key.startswith(tuple(parts)):
            continue
        # As a merged folder has it, so that both say the same; int8 in bf16.
        dtype = tensor.dtype if isinstance(tensor, LazyTensor) else "BF16"
        raw = peft_name(key, source.spec)
        plan[raw], make[raw] = Entry(dtype, tensor.shape), partial(whole, key)

    def runs(raw: str, entry: Entry) -> Iterable[Array]:
        yield make[raw](entry.dtype)

    write_runs(folder / ADAPTER_WEIGHTS, plan, runs, {"format": "pt"})
    layout = "fast_vlm" if source.spec.layout == "fast_vlm" else "llava"
    told = {
        **config,
        "base_model_name_or_path": place_of(model),
        "revision": model.identity.get("revision"),
        "inference_mode": True,
        "modules_to_save": [_WHOLE[part][layout] for part in parts] or None,
    }
    _write_json(folder / ADAPTER_CONFIG, told)
    files = {
        path.name: {"size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in weight_files(source.folder)
    }
    _write_json(folder / ADAPTER_BASE, {"format": 1, "base": model.name, "files": files})
    write_texts(source, folder, name, side)


def follow(source: Checkpoint, matrices: Mapping[str, Float], changed: Mapping[str, Float]) -> None:
    """Ask for the tensors that write_adapter asks for, in its order, and write nothing."""
    for name in matrices:
        matrices[name]
    for name in source.tensors:
        if name in changed:
            changed[name]


def _shape(name: str, rank: int, source: Checkpoint) -> tuple[int, int]:
    layer, _, end = name.rpartition(".lora_")
    rows, columns = source.tensors[f"{layer}.weight"].shape
    return (rank, columns) if end.startswith("A") else (rows, rank)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    def plain(one: Any) -> Any:
        return sorted(one) if isinstance(one, set) else one.value

    path.write_text(json.dumps(value, indent=1, default=plain) + "\n", "utf-8")
