"""Which files make which model: what is fetched, what is whole, what a folder is for.

An adapter's folder is a FastVLM's with the tensors that were learnt alone (galago.checkpoints
.adapter): its other tensors are the files of its base, which lies elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from galago import catalog
from galago.catalog import Kind, Layout
from galago.disk import is_regular, read_json
from galago.errors import CheckpointError
from galago.places import as_path, copies_of

__all__ = [
    "ADAPTER_BASE",
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "CLIP_CONFIG",
    "CLIP_WEIGHTS",
    "CONFIG",
    "INDEX",
    "MANIFEST",
    "WEIGHTS",
    "adapter_files",
    "base_changed",
    "base_of",
    "is_adapter",
    "is_complete",
    "kind_of_files",
    "kind_of_folder",
    "patterns",
    "shard_names",
    "weight_files",
]

MANIFEST = "galago.json"  # of a folder that galago converted; nobody else's is believed
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# peft's two files, and which base they change: {"format": 1, "files": {name: {"size", "sha256"}}}.
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ADAPTER_BASE = "adapter_base.json"
CLIP_CONFIG, CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
# Weights and texts only: no code (.py) and no pickles (.bin, .pt) ...
_VLM = ("*.safetensors", "*.json", "*.txt", "chat_template.jinja", "LICENSE*", "README.md")
_OPEN_CLIP = (CLIP_CONFIG, CLIP_WEIGHTS, "LICENSE*")
# ... but for those of the catalogue that exist as nothing else; they are read without being run.
_PT_WEIGHTS = "mobileclip*.pt"
_PT = (_PT_WEIGHTS, "LICENSE*")
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
_SHARD = re.compile(r"[\w][\w. +-]{0,180}\.safetensors")
_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


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
    left from before does no harm. Numbered shards need none. An adapter's are those of its base.
    """
    return _own_weights(base_of(folder) if is_adapter(folder) else folder)


def _own_weights(folder: Path) -> list[Path]:
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


# -- adapters --------------------------------------------------------------------------------------


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds what was learnt alone, and not the whole model."""
    whole = any(os.path.lexists(folder / name) for name in (WEIGHTS, INDEX))
    return not whole and is_regular(folder / ADAPTER_BASE)


def base_of(folder: Path) -> Path:
    """The folder of an adapter's base, by the names and sizes of its weights.

    CheckpointError where it isn't there, or isn't the one that the adapter was made on.
    """
    files, place = adapter_files(folder), _place(folder)
    named = f"{folder} was trained on {place!r:.200}"
    there = False
    for candidate in _candidates(folder, place):
        try:
            found = {path.name: path.stat().st_size for path in _own_weights(candidate)}
        except (CheckpointError, OSError):
            continue
        if found == {name: size for name, (size, _) in files.items()}:
            return candidate
        there = True
    if there:
        raise CheckpointError(base_changed(folder))
    how = f"`galago pull {place}`" if _HUB_NAME.fullmatch(place) else "put it there again"
    raise CheckpointError(
        f"{named}, which isn't there: {how}, or write where it is into base_model_name_or_path of "
        f"{ADAPTER_CONFIG}"
    )


def base_changed(folder: Path) -> str:
    """What is told of an adapter whose base isn't what it was."""
    return (
        f"{folder} was trained on {_place(folder)!r:.200}, whose weights have changed since: bring "
        "back the ones it was trained on, or train again"
    )


def adapter_files(folder: Path) -> dict[str, tuple[int, str]]:
    """The files of weights that an adapter was made on: name -> size in bytes, sha256."""
    told: Any = read_json(folder / ADAPTER_BASE)
    files = told.get("files")
    if told.get("format") != 1 or not isinstance(files, dict) or not files:
        raise CheckpointError(f"{folder / ADAPTER_BASE} doesn't say what it was trained on")
    found = {}
    for name, values in files.items():
        size, digest = (values.get(k) if isinstance(values, dict) else None for k in _ABOUT)
        if type(size) is not int or not isinstance(digest, str):
            raise CheckpointError(f"{folder / ADAPTER_BASE} is damaged")
        found[name] = size, digest
    return found


_ABOUT = ("size", "sha256")


def _place(folder: Path) -> str:
    """As peft has it: a hub name or a folder; of the embedded models also the catalogue's name."""
    place = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    # A stranger's adapter must not make this machine call another one: \\host\share, which
    # Windows reads with either slash.
    if not isinstance(place, str) or not place or place[:2].replace("\\", "/") == "//":
        raise CheckpointError(
            f"{folder / ADAPTER_CONFIG}: base_model_name_or_path is {place!r:.80}, where the hub "
            "name or the folder of the base belongs"
        )
    return place


def _candidates(folder: Path, place: str) -> Iterator[Path]:
    row = catalog.find(place)
    if row is not None and row.embedded:
        yield row.folder
    yield folder / as_path(place)
    if _HUB_NAME.fullmatch(place):
        # Revisions of one model have weights of the same sizes: its own comes first.
        revision = read_json(folder / ADAPTER_CONFIG).get("revision")
        yield from sorted((c for _, c in copies_of(place)), key=lambda copy: copy.name != revision)
