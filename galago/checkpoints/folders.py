"""Which files make which model: what is fetched, what is whole, what a folder is for."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

from galago.catalog import Kind, Layout
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
    "read_json",
    "shard_names",
]

MANIFEST = "galago.json"  # of a folder that galago converted; nobody else's is believed
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
CLIP_CONFIG, CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
# Weights and texts only: no code (.py) and no pickles (.bin, .pt) ...
_VLM = ("*.safetensors", "*.json", "*.txt", "LICENSE*", "README.md")
_OPEN_CLIP = (CLIP_CONFIG, CLIP_WEIGHTS, "LICENSE*")
# ... but for those of the catalogue that exist as nothing else; they are read without being run.
_PT_WEIGHTS = "mobileclip*.pt"
_PT = (_PT_WEIGHTS, "LICENSE*")


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
    if any((folder / name).is_file() for name in (CLIP_CONFIG, CLIP_WEIGHTS)):
        return "mobileclip"
    if any(folder.glob(_PT_WEIGHTS)):
        return "mobileclip"
    if (folder / CONFIG).is_file():
        return "fastvlm"
    return "mobileclip" if any(folder.glob("*.pt")) else None


def is_complete(folder: Path, layout: Layout | None = None) -> bool:
    """Whether a folder has its configuration and every weight file it names."""
    if layout == "pt":
        return len(list(folder.glob(_PT_WEIGHTS))) == 1
    if layout == "open_clip" or (layout is None and kind_of_folder(folder) == "mobileclip"):
        return all((folder / name).is_file() for name in (CLIP_CONFIG, CLIP_WEIGHTS))
    if not (folder / CONFIG).is_file():
        return False
    if not (folder / INDEX).is_file():
        return any(folder.glob("*.safetensors"))
    try:
        return all((folder / shard).is_file() for shard in shard_names(folder))
    except CheckpointError:
        return False


def shard_names(folder: Path) -> list[str]:
    """The files that a folder's index names, each once, sorted; CheckpointError for a bad index."""
    index = folder / INDEX
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map; fetch it again")
    return sorted({str(name) for name in weight_map.values()})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, or CheckpointError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{path.parent} is not a model folder: it has no {path.name}"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); fetch it again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object; fetch it again")
    return value
