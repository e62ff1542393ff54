"""Which files make which model: what is fetched, what is whole, what a folder is for."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from pathlib import Path

from galago.catalog import Kind, Layout
from galago.disk import is_regular, read_json
from galago.errors import CheckpointError

__all__ = [
    "CLIP_CONFIG",
    "CLIP_WEIGHTS",
    "CONFIG",
    "INDEX",
    "MANIFEST",
    "WEIGHTS",
    "is_complete",
    "kind_of_files",
    "kind_of_folder",
    "patterns",
    "shard_names",
    "weight_files",
]

MANIFEST = "galago.json"  # of a folder that galago converted; nobody else's is believed
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
CLIP_CONFIG, CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
# Weights and texts only: no code (.py) and no pickles (.bin, .pt) ...
_VLM = ("*.safetensors", "*.json", "*.txt", "chat_template.jinja", "LICENSE*", "README.md")
_OPEN_CLIP = (CLIP_CONFIG, CLIP_WEIGHTS, "LICENSE*")
# ... but for those of the catalogue that exist as nothing else; they are read without being run.
_PT_WEIGHTS = "mobileclip*.pt"
_PT = (_PT_WEIGHTS, "LICENSE*")
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
_SHARD = re.compile(r"[\w][\w. +-]{0,180}\.safetensors")


def patterns(layout: Layout | None, names: Container[str]) -> tuple[str, ...]:
    """The files to fetch of a repository; without a layout, the names of its files tell it."""
    if layout == "pt":
        return _PT
    if layout == "open_clip" if layout else CLIP_CONFIG in names:
        return _OPEN_CLIP
    return _VLM


def kind_of_files(names: Container[str]) -> Kind | None:
    """What a repository with files of these names is for; None when they don't tell."""
    if CLIP_CONFIG in names or CLIP_WEIGHTS in names:
        return "mobileclip"
    return "fastvlm" if CONFIG in names else None


def kind_of_folder(folder: Path) -> Kind | None:
    """What a folder's files say that it is for; None when they don't tell."""
    if any(is_regular(folder / name) for name in (CLIP_CONFIG, CLIP_WEIGHTS)):
        return "mobileclip"
    if any(folder.glob(_PT_WEIGHTS)):
        return "mobileclip"
    if is_regular(folder / CONFIG):
        return "fastvlm"
    return "mobileclip" if any(folder.glob("*.pt")) else None


def is_complete(folder: Path, layout: Layout | None = None) -> bool:
    """Whether a folder has its configuration and every weight file it names."""
    if layout == "pt":
        return len(list(folder.glob(_PT_WEIGHTS))) == 1
    if layout == "open_clip" or (layout is None and kind_of_folder(folder) == "mobileclip"):
        return all(is_regular(folder / name) for name in (CLIP_CONFIG, CLIP_WEIGHTS))
    if not is_regular(folder / CONFIG):
        return False
    try:
        return bool(weight_files(folder))
    except CheckpointError:
        return False


def weight_files(folder: Path) -> list[Path]:
    """A FastVLM's files of weights, all of which are there; CheckpointError otherwise.

    One whole file comes before an index, as in transformers (modeling_utils.py), so that an index
    left from before does no harm. Numbered shards need none.
    """
    if is_regular(folder / WEIGHTS):
        return [folder / WEIGHTS]
    indexed = os.path.lexists(folder / INDEX)
    files = [folder / name for name in (shard_names(folder) if indexed else _numbered(folder))]
    for path in files:
        if not is_regular(path):
            raise CheckpointError(f"{folder} lacks the shard {path.name}; fetch the model again")
    if not files:
        raise CheckpointError(f"{folder} has no {WEIGHTS}")
    return files


def _numbered(folder: Path) -> list[str]:
    """The names of all shards, where some are there: model-00001-of-00003.safetensors …"""
    found = (_NUMBERED.fullmatch(path.name) for path in sorted(folder.glob("*.safetensors")))
    for shard in filter(None, found):
        stem, total = shard[1], int(shard[3])
        return [f"{stem}-{n:05d}-of-{total:05d}.safetensors" for n in range(1, total + 1)]
    return []


def shard_names(folder: Path) -> list[str]:
    """The files that a folder's index names, each once, sorted; CheckpointError for a bad index."""
    index = folder / INDEX
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map; fetch it again")
    for name in weight_map.values():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise CheckpointError(f"{index} names {name!r:.80}, which is no file of the folder")
    return sorted(set(weight_map.values()))
