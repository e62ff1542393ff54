"""What was learnt as a folder of the base's own layout, which galago and others open.

File by file as the base has them: tensors that didn't learn are copied byte for byte, the others
written anew in the type they had, 8-bit ones in bf16.  A side of the pictures that isn't the base's
is written where the base says its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galago.checkpoints.folders import CONFIG, MANIFEST, weight_files
from galago.checkpoints.names import EMBEDDING, HEAD, fast_vlm_to_llava
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import Array, Entry, Float, LazyTensor, to_bf16
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.checkpoints.writing import write_runs
from galago.disk import is_regular, read_json
from galago.errors import SelfCheckError
from galago.train.tune.sides import tell_side

__all__ = ["write_merged"]

# What describes a model beside its weights; its card is written anew.
_BESIDE = ("*.json", "*.txt", "*.jinja", "LICENSE*", "NOTICE*")
_WIDE = {"F32": np.float32, "F16": np.float16}


def write_merged(
    source: Checkpoint, changed: Mapping[str, Float], folder: Path, name: str, side: int
) -> None:
    """The base's files with the `changed` tensors (canonical names, float32) in their places, for
    pictures of `side` pixels.

    SelfCheckError for a weight that is no number, or too large for the type it has, and for a
    folder that would be opened with another side.
    """
    changed = dict(changed)
    if source.spec.text.tied and EMBEDDING in changed:
        changed[HEAD] = changed[EMBEDDING]
    for path in weight_files(source.folder):
        _write_file(SafetensorsFile(path), source, changed, folder / path.name)
    for path in _beside(source.folder):
        shutil.copyfile(path, folder / path.name)
    _rename(folder / CONFIG, name)
    if side != source.spec.image.side:
        tell_side(folder, side, (side // source.spec.vision.stride) ** 2)
        told = open_checkpoint(folder).spec.image
        if told != source.spec.image.with_side(side):
            raise SelfCheckError(f"{name} can't say that it was trained with {side} px pictures")


def _write_file(
    stored: SafetensorsFile, source: Checkpoint, changed: Mapping[str, Float], path: Path
) -> None:
    def canonical(raw: str) -> str:
        if source.spec.layout != "fast_vlm":
            return raw
        return fast_vlm_to_llava(raw, source.spec.vision)

    plan: dict[str, Entry] = {}
    for raw, tensor in stored.tensors.items():
        new = canonical(raw) in changed
        if new:
            plan[raw] = Entry("BF16" if tensor.dtype == "I8" else tensor.dtype, tensor.shape)
        elif not (raw.endswith(".scale") and canonical(raw.removesuffix(".scale")) in changed):
            plan[raw] = Entry(tensor.dtype, tensor.shape)

    def runs(raw: str, entry: Entry) -> Iterable[Array]:
        tensor: LazyTensor = stored.tensors[raw]
        found = changed.get(canonical(raw))
        yield tensor.read() if found is None else _narrowed(raw, found, entry.dtype)
        tensor.release()

    write_runs(path, plan, runs, stored.metadata or {"format": "pt"})


def _narrowed(name: str, array: Float, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        found = to_bf16(array) if dtype == "BF16" else array.astype(_WIDE[dtype])
    if not np.isfinite(array).all() or (dtype == "F16" and not np.isfinite(found).all()):
        raise SelfCheckError(f"{name} was trained to what {dtype} can't hold; nothing was written")
    return found


def _beside(folder: Path) -> list[Path]:
    found = {path for pattern in _BESIDE for path in folder.glob(pattern)}
    return sorted(path for path in found if path.name != MANIFEST and is_regular(path))


def _rename(path: Path, name: str) -> None:
    """galago's own models say their name in their configuration; the rest is left as it is."""
    config: dict[str, Any] = read_json(path)
    if isinstance(config.get("galago"), dict):
        config["galago"]["name"] = name
        path.write_text(json.dumps(config, indent=1), "utf-8")
