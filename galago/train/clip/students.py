"""Who learns: a MobileCLIP2 of open_clip's parts, new or published, or one of galago's own shape.

All are two towers that give unit rows, and know how galago will run them.
"""

from __future__ import annotations

import importlib.util
import math
from abc import abstractmethod
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from galago.checkpoints.clip_config import SECOND, read_clip_spec
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.disk import read_json
from galago.errors import CheckpointError, MissingExtraError, OptionError
from galago.specs import ClipSpec
from galago.train.clip.learn import Pupil

__all__ = [
    "NanoStudent",
    "OpenClipStudent",
    "Student",
    "new_student",
    "published_student",
    "start_nano",
]


class Student(Pupil):
    """`spec`: as galago runs it."""

    spec: ClipSpec

    @abstractmethod
    def image_rows(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, side, side) as the tower takes them -> (B, embed), not unit yet."""

    @abstractmethod
    def text_rows(self, ids: torch.Tensor) -> torch.Tensor:
        """(N, T) ids -> (N, embed), not unit yet."""

    def forward(
        self, pixels: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """uint8 pixels (B, 3, side, side) and ids (N, T) -> unit rows of both, float32, and the
        scale of their cosines."""
        image = self.spec.image
        mean, std = (
            torch.tensor(values, device=pixels.device).view(3, 1, 1)
            for values in (image.mean, image.std)
        )
        seen = (pixels.float() / 255 - mean) / std
        rows = F.normalize(self.image_rows(seen).float(), dim=-1)
        return rows, F.normalize(self.text_rows(ids).float(), dim=-1), self.logit_scale.exp()


class OpenClipStudent(Student):
    """open_clip's model, by its own names; `config` is its model_cfg."""

    def __init__(self, model: Any, config: dict[str, Any], spec: ClipSpec) -> None:
        super().__init__()
        self.model, self.config, self.spec = model, config, spec

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        return self.model.logit_scale

    def image_rows(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model.encode_image(pixels)

    def text_rows(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model.encode_text(ids)

    def lighten(self) -> None:
        self.model.set_grad_checkpointing()


class NanoStudent(Student):
    """Towers as galago's embedded model has them, of a configuration of galago.train.nano."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        from open_clip.transformer import TextTransformer

        from galago.train.nano.clip.publish import clip_spec
        from galago.train.nano.model import build_trunk

        clip = config.clip
        self.config, self.spec = config, clip_spec(config)
        self.trunk = build_trunk(config.vision)
        self.project = nn.Linear(config.vision.widths[-1] * 2, clip.embed)
        self.text = TextTransformer(
            context_length=clip.context, vocab_size=clip.vocab, width=clip.width, heads=clip.heads,
            layers=clip.layers, output_dim=clip.embed,
        )  # fmt: skip
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def image_rows(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.project(self.trunk.forward_features(pixels).mean((2, 3)))

    def text_rows(self, ids: torch.Tensor) -> torch.Tensor:
        # A caption is read at its end, which has the highest number, and nothing looks ahead: the
        # zeros behind the longest one change no row and take most of the time.
        length = int(ids.argmax(1).max()) + 1
        causal = self.text.attn_mask
        self.text.attn_mask = causal[:length, :length]
        try:
            return self.text(ids[:, :length])
        finally:
            self.text.attn_mask = causal

    def lighten(self) -> None:
        raise OptionError("--checkpointing is for open_clip's architectures: this one is small")


def new_student(name: str) -> Student:
    """With new weights: an architecture of MobileCLIP2 ("MobileCLIP2-S0"), or a TOML file of two
    towers (galago/train/nano/configs).  OptionError for anything else."""
    if name.endswith(".toml"):
        return NanoStudent(_nano_config(Path(name).expanduser()))
    spec = next((one for one in SECOND if one.name.casefold() == name.casefold()), None)
    if spec is None:
        known = ", ".join(one.name for one in SECOND)
        raise OptionError(f"--student {name!r} is not possible: use {known}, or a TOML file")
    import open_clip

    config = open_clip.get_model_config(spec.name)
    return OpenClipStudent(_built(config), config, spec)


def _nano_config(path: Path) -> Any:
    if importlib.util.find_spec("transformers") is None:  # its trainer's networks are in one file
        raise MissingExtraError("a student of galago's own shape needs transformers", "train")
    from galago.train.nano.config import ClipTrainConfig, load_config

    if not path.is_file():
        raise OptionError(f"no such file: {path}")
    config = load_config(path)
    if not isinstance(config, ClipTrainConfig):
        raise OptionError(f"{path} has no two towers: a table [clip] says their sizes")
    return config


def published_student(folder: Path) -> Student:
    """With a published model's weights, its training branches if it has them.

    CheckpointError for a folder that is none of open_clip's layout.
    """
    config = read_json(folder / CLIP_CONFIG).get("model_cfg", {})
    if "galago" in config:
        raise OptionError(
            f"{folder} is of galago's own shape: give --student its TOML file, and this as --start"
        )
    spec = read_clip_spec(folder)
    if not (folder / CLIP_WEIGHTS).is_file():
        raise CheckpointError(f"{folder} has no {CLIP_WEIGHTS}: fetch the model again")
    from safetensors.torch import load_file

    held = load_file(folder / CLIP_WEIGHTS)
    if any(".reparam_conv." in name for name in held):
        raise OptionError(
            "the folder's tower is fused, and open_clip builds it with its training branches: "
            "start from one that has them, as MobileCLIP2's are published"
        )
    model = _built(config)
    held = {name: tensor.float() for name, tensor in held.items()}
    try:
        missing, unknown = model.load_state_dict(held, strict=False)
    except RuntimeError as error:  # of other shapes
        reason = " ".join(str(error).split())[-160:]
        raise CheckpointError(f"{folder} doesn't fit its configuration ({reason})") from None
    lost = [n for n in missing if not n.endswith(("attn_mask", "num_batches_tracked"))]
    if lost or unknown:
        raise CheckpointError(f"{folder} doesn't fit its configuration ({[*lost, *unknown][0]})")
    return OpenClipStudent(model, config, spec)


def _built(config: dict[str, Any]) -> Any:
    """open_clip's model of a model_cfg, with new weights; its own create_model warns of these."""
    from open_clip.model import CustomTextCLIP

    known = {key: value for key, value in config.items() if key != "custom_text"}
    known["vision_cfg"] = config["vision_cfg"] | {"timm_model_pretrained": False}
    return CustomTextCLIP(**known)


def start_nano(student: Student, folder: Path, pixels: torch.Tensor) -> None:
    """Begin from a folder of galago's own; `pixels` uint8 (B, 3, side, side) settle the norms."""
    from galago.train.nano.model import normalised
    from galago.train.nano.start import start_from

    if not isinstance(student, NanoStudent):
        raise OptionError("--start beside --student is for a TOML file's: else give --start alone")
    start_from(folder, student, normalised(pixels))
