"""Who reinforces a data set, by name: networks that put pictures and words into one space.

`open_clip:MODEL[:PRETRAINED]` is any model of open_clip, with a tag of its weights or a file on
disk, else with random ones; `galago:NAME` a MobileCLIP that galago runs, `galago:conse` the pair
that needs no CLIP weights (conse.py); a folder is whichever of both opens it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from galago.checkpoints.folders import CLIP_CONFIG
from galago.checkpoints.tensors import Float
from galago.disk import optional_json
from galago.errors import GalagoError, OptionError
from galago.train.clip.workers import NUMBER

__all__ = [
    "FAULTS",
    "Teacher",
    "TeacherRow",
    "by_torch",
    "check_config",
    "describe",
    "device",
    "load_teacher",
    "random_ones",
]

# The scales that the papers found best (arXiv 2311.17049 and 2508.20691): within 5 it matters
# little, and a teacher's own isn't the best.
_SCALES = {
    "openai": 100.0,
    "datacomp_xl_s13b_b90k": 100.0,
    "dfn2b": 70.0,
    "dfn2b_s39b": 60.0,
}


FAULTS = (TypeError, KeyError, AttributeError, AssertionError)  # of a folder's config
_TOWERS = ("text_cfg", "vision_cfg")  # of open_clip's configs
_TOKENIZER = dict.fromkeys(("clean", "strip_sep_token", "language"))  # options that only read


class Teacher(Protocol):
    """Unit rows of pictures and of words; `side` of the squares that it looks at, `scale` of its
    cosines before a softmax."""

    side: int
    dim: int
    scale: float

    def pictures(self, squares: Sequence[Image.Image]) -> Float:
        """Float32 (n, dim) of RGB pictures of `side` pixels."""

    def texts(self, texts: Sequence[str]) -> Float:
        """Float32 (n, dim)."""


@dataclass(frozen=True)
class TeacherRow:
    """What is kept of a teacher with the shards: its name, numbers and scale."""

    name: str
    dim: int
    scale: float


def describe(name: str, scale: float | None, teacher: Teacher) -> TeacherRow:
    """As it stands with the shards; `scale` in the place of the paper's or its own, if given."""
    tag = name.rpartition(":")[2] if name.startswith("open_clip:") else ""
    known = _SCALES.get(tag, teacher.scale)
    return TeacherRow(name, teacher.dim, known if scale is None else scale)


def random_ones(names: Sequence[str]) -> list[str]:
    """Those of the names that say no weights: rows that mean nothing."""
    return [
        name
        for name in names
        if name.startswith("open_clip:") and not name.partition(":")[2].partition(":")[2]
    ]


def by_torch(names: Sequence[str]) -> bool:
    """Whether one of these teachers and captioners may compute by torch, on a GPU if there is."""
    return not all(name.startswith("galago:") for name in names)


def device() -> Any:
    """Where torch computes in this process: of several GPUs each process has the next."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get(NUMBER, "0")) % torch.cuda.device_count())


def load_teacher(name: str, *, offline: bool = False) -> Teacher:
    """OptionError for a name of none of the kinds; what galago raises of its own."""
    kind, _, rest = name.partition(":")
    if name == "galago:conse":
        from galago.train.clip.conse import Conse

        return Conse()
    if kind == "galago" and rest:
        return _Galago(rest, offline)
    if kind == "open_clip" and rest:
        model, _, pretrained = rest.partition(":")
        return _OpenClip(model, pretrained)
    folder = Path(os.path.expanduser(name))
    if not name or not folder.is_dir():
        raise OptionError(
            f"teacher {name!r} is not known: use open_clip:MODEL:PRETRAINED, galago:NAME, "
            "galago:conse or a folder"
        )
    try:
        return _Galago(str(folder), offline)
    except GalagoError:
        check_config(folder / CLIP_CONFIG)
        return _OpenClip(f"local-dir:{folder}", "")


def check_config(place: Path) -> None:
    """OptionError where an open_clip_config.json, or a model_cfg alone, would let open_clip run or
    fetch what it names: its tokenizer's options go to transformers, trust_remote_code among them.
    """
    told = optional_json(place)
    config = told.get("model_cfg", told)
    towers = [config.get(name) if isinstance(config, dict) else None for name in _TOWERS]
    text, vision = (tower if isinstance(tower, dict) else {} for tower in towers)
    given = text.get("tokenizer_kwargs") or {}
    if not isinstance(given, dict) or not given.keys() <= _TOKENIZER.keys():
        raise OptionError(f"{place}: its tokenizer_kwargs are others than {', '.join(_TOKENIZER)}")
    model = text.get("hf_model_name")
    if model and not os.path.isdir(str(model)):
        raise OptionError(f"{place}: its hf_model_name {model!r} would be fetched: name a folder")
    if ":" in str(vision.get("timm_model_name", "")):
        raise OptionError(f"{place}: its timm_model_name is an address, and no name of timm's")


class _Galago:
    """A MobileCLIP by galago's own engine, in full precision and one thread."""

    def __init__(self, name: str, offline: bool) -> None:
        from galago.clip.mobileclip import MobileCLIP

        self._model = MobileCLIP.load(name, precision="fp32", threads=1, offline=offline or None)
        self.side, self.dim = self._model.spec.image.side, self._model.dim
        self.scale = self._model.logit_scale

    def pictures(self, squares: Sequence[Image.Image]) -> Float:
        return self._model.embed_images(list(squares))

    def texts(self, texts: Sequence[str]) -> Float:
        return self._model.embed_texts(list(texts))


class _OpenClip:
    """A model of open_clip; its tokenizer and its normalisation are its own."""

    def __init__(self, name: str, pretrained: str) -> None:
        import open_clip
        import torch
        from open_clip.pretrained import get_pretrained_cfg

        folder = name.startswith("local-dir:")
        if not folder and name not in open_clip.list_models():
            raise OptionError(f"open_clip has no model {name!r}: see open_clip.list_models()")
        torch.manual_seed(0)  # random weights are the same in every process
        try:
            model: Any = open_clip.create_model(
                name,
                pretrained=pretrained or None,
                # Of some tags only, as dfn2b of ViT-L-14: open_clip warns and uses another.
                force_quick_gelu=bool(get_pretrained_cfg(name, pretrained).get("quick_gelu")),
                require_pretrained=folder,  # a config alone would be a teacher at random
            )
            self._tokenizer: Any = open_clip.get_tokenizer(name)
        except (*FAULTS, RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise OptionError(f"open_clip can't load {name} {pretrained}: {reason}") from None
        self._device = device()
        self._model = model.eval().to(self._device)
        size = model.visual.image_size
        self.side = size[0] if isinstance(size, (tuple, list)) else size
        seen = open_clip.get_model_preprocess_cfg(model)
        self._mean, self._std = (torch.tensor(seen[key]).view(3, 1, 1) for key in ("mean", "std"))
        self.scale = float(model.logit_scale.detach().exp())
        self.dim = self.texts(["a"]).shape[1]

    def pictures(self, squares: Sequence[Image.Image]) -> Float:
        import torch

        stacked = np.stack([np.asarray(square) for square in squares])
        pixels = torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255
        pixels = ((pixels - self._mean) / self._std).to(self._device)
        with torch.inference_mode():
            return self._array(self._model.encode_image(pixels, normalize=True))

    def texts(self, texts: Sequence[str]) -> Float:
        import torch

        ids = self._tokenizer(list(texts)).to(self._device)
        with torch.inference_mode():
            return self._array(self._model.encode_text(ids, normalize=True))

    @staticmethod
    def _array(rows: Any) -> Float:
        return np.asarray(rows.float().cpu().numpy(), np.float32)
