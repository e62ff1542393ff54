"""Published MobileCLIP models -> a spec and named tensors, memory-mapped.

Three ways: the open_clip layout (open_clip_config.json and open_clip_model.safetensors); galago's
own models, the same with a "galago" block that spells the trunk out, where tensors may be I8 with a
float32 `NAME.scale` of one number a row and the vocabulary smaller; and the `.pt` files of Apple's
repositories, which have no configuration: which model one is, its shapes tell, and where these fit
several the name of the file. Pickles are read, never run (galago/checkpoints/torchfile.py).

Training-time branches are fused when a tensor is read (branches.py); names that come out are
open_clip's of the fused model, with `in_proj.weight` for `in_proj_weight`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galago.checkpoints.branches import fused
from galago.checkpoints.clip_config import FIRST, PUBLISHED, read_clip_spec
from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.first_mobileclip import is_first, to_open_clip
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.limits import check_clip
from galago.checkpoints.names import NOT_WHOLE, unwrapped
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import FileState, Stored, read_float, scaled
from galago.checkpoints.torchfile import TorchFile
from galago.disk import is_regular
from galago.errors import CheckpointError
from galago.specs import ClipSpec


@dataclass(frozen=True)
class ClipCheckpoint:
    """An opened model; `tensors` by open_clip's names, fused when read; `file` holds them."""

    spec: ClipSpec
    tensors: Mapping[str, Stored]
    logit_scale: float
    file: FileState | None = None


def open_clip_checkpoint(source: Path | str) -> ClipCheckpoint:
    """Open a folder in the open_clip layout, one of Apple's .pt files, or a folder with just one.

    A folder with a configuration and a .pt in the place of its safetensors, as open_clip's training
    leaves it (epoch_5.pt, with a state_dict inside), is opened too.

    Every tensor is checked for presence and shape; CheckpointError names what is wrong.
    """
    source = Path(source)
    if source.is_file():
        if source.suffix not in (".pt", ".pth"):
            raise CheckpointError(f"{source} is one file of a model; give its folder")
        return _open_pickled(source)
    configured = os.path.lexists(source / CLIP_CONFIG)
    path = source / CLIP_WEIGHTS
    if not (configured and is_regular(path)):
        pickled = sorted([*source.glob("*.pt"), *source.glob("*.pth")])
        if len(pickled) > 1:
            raise CheckpointError(f"{source} holds several .pt files; name the one you mean")
        if pickled and not configured:
            return _open_pickled(pickled[0])
        path = next(iter(pickled), path)
    spec = read_clip_spec(source)
    if not is_regular(path):
        raise CheckpointError(f"{source} has no {CLIP_WEIGHTS}, nor a .pt file in its place")
    file = SafetensorsFile(path) if path.name == CLIP_WEIGHTS else TorchFile(path)
    try:
        check_clip(spec, len(file.tensors))
    except ValueError as error:
        raise CheckpointError(f"{source / CLIP_CONFIG} doesn't fit {path.name}: {error}") from None
    named = _named(scaled(unwrapped(file.tensors)))
    _check_words(path, named, spec)
    return _checked(spec, file, named)


def _check_words(path: Path, named: Mapping[str, Stored], spec: ClipSpec) -> None:
    """CheckpointError for tensors beside the towers' that would be left out."""
    known = clip_shapes(spec)
    known |= {f"{name}.scale": () for name in known}
    for name in sorted(set(named) - set(known)):
        idle = name.endswith(("attn_mask", "position_ids"))
        if name.startswith(("text.", "logit_")) and not idle:
            raise CheckpointError(
                f"{path} holds the tensor {name!r:.80}, which MobileCLIP has no place for: galago "
                "would leave it out"
            )


def _open_pickled(path: Path) -> ClipCheckpoint:
    file = TorchFile(path)
    stored = unwrapped(file.tensors)
    first = is_first(stored)
    known = FIRST if first else PUBLISHED
    named = _named(to_open_clip(stored) if first else stored)
    shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
    sizes = {spec: len(s) for spec in known if (s := clip_shapes(spec)).items() <= shapes.items()}
    # The blocks of a small model are found in a deeper one, too.
    fitting = [spec for spec, size in sizes.items() if size == max(sizes.values())]
    if not fitting:
        names = ", ".join(spec.name for spec in known)
        raise CheckpointError(f"{path} holds none of the models known by their shapes ({names})")
    # Both generations have some shapes in common: then Apple's own file names tell.
    spec = next((s for s in fitting if _letters(s.name) == _letters(path.stem)), fitting[0])
    return _checked(spec, file, named)


def _letters(name: str) -> str:
    """MobileCLIP2-L-14 and mobileclip2_l14 in the same letters."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _named(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    return {n.replace(".in_proj_", ".in_proj."): t for n, t in fused(stored).items()}


def _checked(
    spec: ClipSpec, file: SafetensorsFile | TorchFile, named: Mapping[str, Stored]
) -> ClipCheckpoint:
    path = file.path
    tensors: dict[str, Stored] = {}
    for name, shape in clip_shapes(spec).items():
        if name not in named:
            raise CheckpointError(f"{path} lacks the tensor {name}: {NOT_WHOLE}")
        if tuple(named[name].shape) != shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(named[name].shape)}, expected {shape}"
            )
        tensors[name] = named[name]
    scale = float(read_float(tensors["logit_scale"]).reshape(()))
    if not abs(scale) < 20:  # CLIP keeps it under ln 100; NaN fails too
        raise CheckpointError(f"{path}: logit_scale is {scale}; fetch the model again")
    return ClipCheckpoint(spec, tensors, scale, file.state)
