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

from galago.checkpoints.folders import CONFIG, INDEX, MANIFEST, weight_files
from galago.checkpoints.names import EMBEDDING, HEAD, fast_vlm_to_llava
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import Array, Entry, Float, LazyTensor, narrowed
from galago.checkpoints.vlm import Checkpoint, open_spec
from galago.checkpoints.writing import write_runs
from galago.disk import is_regular, read_json
from galago.errors import SelfCheckError
from galago.train.tune.sides import tell_side

__all__ = ["fitted", "follow", "write_merged", "write_texts"]

# What describes a model beside its weights; its card is written anew.
_BESIDE = ("*.json", "*.txt", "*.jinja", "LICENSE*", "NOTICE*")


def write_merged(
    source: Checkpoint, changed: Mapping[str, Float], folder: Path, name: str, side: int
) -> None:
    """The base's files with the `changed` tensors (canonical names, float32) in their places, for
    pictures of `side` pixels.

    SelfCheckError for a weight that is no number, or too large for the type it has, and for a
    folder that would be opened with another side.
    """
    for path in weight_files(source.folder):
        _write_file(SafetensorsFile(path), source, changed, folder / path.name)
    for path in source.folder.glob(INDEX):
        shutil.copyfile(path, folder / path.name)
    write_texts(source, folder, name, side)


def follow(source: Checkpoint, changed: Mapping[str, Float]) -> None:
    """Ask for the tensors that write_merged asks for, in its order, and write nothing."""
    for path in weight_files(source.folder):
        for raw in SafetensorsFile(path).tensors:
            if (name := _changed_name(raw, source)) in changed:
                changed[name]


def _changed_name(raw: str, source: Checkpoint) -> str:
    """What a stored tensor is called among those that changed: a tied head is the embedding."""
    fast = source.spec.layout == "fast_vlm"
    name = fast_vlm_to_llava(raw, source.spec.vision) if fast else raw
    return EMBEDDING if source.spec.text.tied and name == HEAD else name


def write_texts(source: Checkpoint, folder: Path, name: str, side: int) -> None:
    """What stands beside the base's weights, with this side of pictures; the weights are there.

    SelfCheckError for a folder that would be opened with another side.
    """
    for path in _beside(source.folder):
        shutil.copyfile(path, folder / path.name)
    _rename(folder / CONFIG, name)
    if side != source.spec.image.side:
        tell_side(folder, side, (side // source.spec.vision.stride) ** 2)
        told = open_spec(folder).image
        if told != source.spec.image.with_side(side):
            raise SelfCheckError(f"{name} can't say that it was trained with {side} px pictures")


def _write_file(
    stored: SafetensorsFile, source: Checkpoint, changed: Mapping[str, Float], path: Path
) -> None:
    def is_new(raw: str) -> bool:
        return _changed_name(raw, source) in changed

    plan: dict[str, Entry] = {}
    for raw, tensor in stored.tensors.items():
        if is_new(raw):
            plan[raw] = Entry("BF16" if tensor.dtype == "I8" else tensor.dtype, tensor.shape)
        elif not (raw.endswith(".scale") and is_new(raw.removesuffix(".scale"))):
            plan[raw] = Entry(tensor.dtype, tensor.shape)

    def runs(raw: str, entry: Entry) -> Iterable[Array]:
        tensor: LazyTensor = stored.tensors[raw]
        if is_new(raw):
            yield fitted(raw, changed[_changed_name(raw, source)], entry.dtype)
        else:
            yield tensor.read()
        tensor.release()

    write_runs(path, plan, runs, stored.metadata or {"format": "pt"})


def fitted(name: str, array: Float, dtype: str) -> Array:
    """A learnt tensor in the type it is stored in; SelfCheckError where that can't hold it."""
    try:
        return narrowed(array, dtype)
    except ValueError as error:
        raise SelfCheckError(f"{name} was trained to {error}; nothing was written") from None


def _beside(folder: Path) -> list[Path]:
    found = {path for pattern in _BESIDE for path in folder.glob(pattern)}
    return sorted(p for p in found if p.name not in (MANIFEST, INDEX) and is_regular(p))


def _rename(path: Path, name: str) -> None:
    """galago's own models say their name in their configuration; the rest is left as it is."""
    config: dict[str, Any] = read_json(path)
    if isinstance(config.get("galago"), dict):
        config["galago"]["name"] = name
        path.write_text(json.dumps(config, indent=1), "utf-8")
