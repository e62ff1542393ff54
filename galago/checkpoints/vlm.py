"""Model folders on disk -> a spec and named tensors, memory-mapped.

Three layouts are read, sharded or not: llava_qwen2 (Apple's repositories and archives), galago's
own models (the same, with a "galago" block in the configuration; tensors may be I8 with a float32
`NAME.scale` of one number a row), and transformers' fast_vlm; of each also an adapter (adapter.py),
with the tensors of its base as they become by it. Their code is never run and pickles are never
opened. Tensors come out under one naming (names.py), and each one that is needed is checked for
presence and shape when the folder is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from galago.checkpoints.adapter import adapted, check_base
from galago.checkpoints.folders import (
    ADAPTER_BASE,
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    is_adapter,
    weight_files,
)
from galago.checkpoints.names import (
    EMBEDDING,
    HEAD,
    NOT_WHOLE,
    VISION,
    fast_vlm_to_llava,
    projector_shapes,
    text_shapes,
    unwrapped,
    vision_shapes,
)
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.strangers import other_files, other_tensors, superfluous
from galago.checkpoints.tensors import LazyTensor, Tensor, scaled
from galago.checkpoints.vlm_config import read_spec
from galago.disk import read_json
from galago.errors import CheckpointError
from galago.specs import VLMSpec

_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
_FLOATS = ("BF16", "F16", "F32")


@dataclass(frozen=True)
class Checkpoint:
    """An opened model folder.

    `tensors` maps canonical names to LazyTensor (BF16, F16 or F32); `files` are the tokenizer's
    files; `identity` is {file name: size in bytes} of everything the conversion depends on.
    `adapter`: most tensors come from another folder.
    """

    folder: Path
    spec: VLMSpec
    tensors: Mapping[str, Tensor]
    files: tuple[Path, ...]
    identity: Mapping[str, int]
    adapter: bool = False


def open_spec(folder: Path | str) -> VLMSpec:
    """The spec of a model folder, from its configuration and the headers of its files.

    No weight is read, so `text.tied` is not known here: open_checkpoint compares the tensors.
    """
    return _stored(Path(folder))[0]


def _stored(folder: Path) -> tuple[VLMSpec, list[Path], dict[str, LazyTensor]]:
    config = read_json(folder / CONFIG)
    try:
        shards = weight_files(folder)
    except CheckpointError as error:
        line = None if is_adapter(folder) else other_files(folder)
        raise CheckpointError(f"{folder} {line}") if line else error from None
    files = [SafetensorsFile(shard) for shard in shards]
    stored = unwrapped({name: t for file in files for name, t in file.tensors.items()})
    line = other_tensors(stored, config, files[0].metadata)
    if line:
        raise CheckpointError(f"{folder} {line}")
    spec = read_spec(folder, config, {name: t.shape for name, t in stored.items()})
    return spec, shards, stored


def open_checkpoint(folder: Path | str) -> Checkpoint:
    """Open a model folder and check it; CheckpointError names what is wrong."""
    folder = Path(folder)
    spec, shards, stored = _stored(folder)
    if spec.layout == "fast_vlm":
        stored = {fast_vlm_to_llava(n, spec.vision): t for n, t in stored.items()}
    found: Mapping[str, Tensor] = scaled(stored) if spec.layout == "galago" else stored
    adapter = is_adapter(folder)
    if adapter:
        check_base(folder)
        found = adapted(folder, found, spec)
    spec = replace(spec, text=replace(spec.text, tied=_is_tied(found)))
    tensors = _needed(folder, found, spec)
    files = tuple(folder / name for name in _TOKENIZER_FILES if (folder / name).is_file())
    sources = [*shards, folder / CONFIG, *files]
    if adapter:
        sources += [folder / name for name in (ADAPTER_BASE, ADAPTER_CONFIG, ADAPTER_WEIGHTS)]
    identity = {path.name: path.stat().st_size for path in sources}
    return Checkpoint(folder, spec, tensors, files, identity, adapter)


def _is_tied(stored: Mapping[str, Tensor]) -> bool:
    """Whether the output projection is the embedding: the tensors decide, not the config."""
    head, table = stored.get(HEAD), stored.get(EMBEDDING)
    if head is None or table is None:
        return True
    if head.shape != table.shape or head.dtype != table.dtype:
        return False
    left, right = head.read(), table.read()
    same = all(
        np.array_equal(left[start : start + 4096], right[start : start + 4096])
        for start in range(0, left.shape[0], 4096)
    )
    head.release()
    table.release()
    return same


def _needed(folder: Path, stored: Mapping[str, Tensor], spec: VLMSpec) -> dict[str, Tensor]:
    shapes = text_shapes(spec.text)
    shapes |= projector_shapes(spec.vision.features, spec.projector)
    for name, shape in vision_shapes(spec.vision).items():
        shapes[VISION + name] = shape
    for name, shape in shapes.items():
        tensor = stored.get(name)
        if tensor is None:
            raise CheckpointError(f"{folder} lacks the tensor {name}: {NOT_WHOLE}")
        if tensor.shape != shape:
            raise CheckpointError(
                f"{folder}: the tensor {name} has shape {list(tensor.shape)}, "
                f"but the configuration asks for {list(shape)}"
            )
        if tensor.dtype not in _FLOATS:
            raise CheckpointError(
                f"{folder}: the tensor {name} is {tensor.dtype}; galago reads BF16, F16 and F32"
            )
    known = {*shapes, HEAD}
    if spec.layout == "galago":
        known |= {f"{name}.scale" for name in known}
    extra = superfluous(stored, known)
    if extra is not None:
        raise CheckpointError(
            f"{folder} holds the tensor {extra!r:.80}, which FastVLM has no place for: galago "
            "would leave it out"
        )
    return {name: stored[name] for name in shapes}
