"""A model's training as data: one TOML file, read into frozen dataclasses."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from galago.errors import OptionError
from galago.specs import CLIP_CONTEXT, ClipTextSpec, Qwen2Spec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class VisionConfig:
    """A FastViTHD trunk; five stages."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    mlp_ratios: tuple[float, ...]
    layer_scale: float = 0.1


@dataclass(frozen=True)
class TextConfig:
    """A Qwen2 decoder and its byte-level vocabulary."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int

    @property
    def spec(self) -> Qwen2Spec:
        """The same as galago knows it, with tied embeddings."""
        return Qwen2Spec(
            self.hidden, self.intermediate, self.layers, self.heads, self.kv_heads, self.vocab
        )


@dataclass(frozen=True)
class StageConfig:
    """One stage: `trains` names the parts that learn; `batch` counts samples per kind and side."""

    name: str
    loss: str  # "direct", "language" or "contrastive"
    trains: tuple[str, ...]
    steps: int
    lr: float
    batch: tuple[tuple[int, dict[str, int]], ...]
    warmup: int = 200
    decay: float = 0.3  # the last part of the steps, over which lr falls to zero
    weight_decay: float = 0.05
    trunk_lr: float = 1.0  # the trunk's learning rate as a fraction of lr
    frozen: int = 0  # the trunk's stem and so many of its first stages stand still
    settled: bool = False  # batch norms use what they have learned: few pictures' figures are noise
    asked: float = 1.0  # share of the pictures that a question is asked about; the decoder is dear
    direct: float = 0.25  # weight of the direct losses beside the answer's
    heads_lr: float = 0.15  # wide inputs: at the full rate a step moves every logit by one


@dataclass(frozen=True)
class ClipConfig:
    """A CLIP text tower with a causal mask, and the width of the common space."""

    embed: int
    width: int
    heads: int
    layers: int
    vocab: int
    context: int = CLIP_CONTEXT

    @property
    def spec(self) -> ClipTextSpec:
        """The same as galago knows it."""
        return ClipTextSpec(
            self.width, self.heads, self.layers, True, context=self.context, vocab=self.vocab
        )


@dataclass(frozen=True)
class TeachersConfig:
    """Who reinforces the dataset: see galago/train/nano/clip/teachers.py."""

    pair: str = "conse"  # or "open_clip:MODEL:PRETRAINED"
    captioner: str = "templates"  # or an open_clip CoCa


@dataclass(frozen=True)
class ClipTrainConfig:
    """A two-tower model's training."""

    name: str
    seed: int
    side: int
    vision: VisionConfig
    clip: ClipConfig
    stages: tuple[StageConfig, ...]
    teachers: TeachersConfig = TeachersConfig()


@dataclass(frozen=True)
class TrainConfig:
    """A vision-language model's training: all that a command needs but where things lie."""

    name: str
    seed: int
    side: int
    vision: VisionConfig
    text: TextConfig
    stages: tuple[StageConfig, ...]


def load_config(path: Path) -> TrainConfig | ClipTrainConfig:
    """Read a TOML file, of two towers when it has a table `clip`.

    A missing or unknown key is an OptionError that names it.
    """
    raw = tomllib.loads(path.read_text())
    stages = []
    for stage in raw.pop("stages"):
        batch = tuple((int(b.pop("side")), b) for b in stage.pop("batch"))
        stages.append(_build(StageConfig, {**stage, "batch": batch}))
    vision = _build(VisionConfig, raw.pop("vision"))
    if "clip" in raw:
        clip = _build(ClipConfig, raw.pop("clip"))
        teachers = _build(TeachersConfig, raw.pop("teachers", {}))
        parts = {"vision": vision, "clip": clip, "stages": tuple(stages), "teachers": teachers}
        return _build(ClipTrainConfig, raw | parts)
    text = _build(TextConfig, raw.pop("text"))
    return _build(TrainConfig, {**raw, "vision": vision, "text": text, "stages": tuple(stages)})


T = TypeVar("T")


def _build(kind: type[T], values: dict[str, Any]) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = values.keys() - known
    if unknown:
        raise OptionError(f"unknown key in the training config: {', '.join(sorted(unknown))}")
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return kind(**frozen)
    except TypeError as error:
        raise OptionError(f"training config, {kind.__name__}: {error}") from None
