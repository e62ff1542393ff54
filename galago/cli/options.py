"""Options that more than one verb takes, and the objects they are gathered into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from galago import catalog
from galago.errors import OptionError
from galago.specs import CLIP_PRECISIONS, PRECISIONS, Side
from galago.text.languages import language_note

if TYPE_CHECKING:
    from galago.clip.mobileclip import MobileCLIP
    from galago.vlm.fastvlm import FastVLM
    from galago.vlm.sampling import SamplingOptions

__all__ = [
    "ClipModelName",
    "ClipOpening",
    "ClipPrecision",
    "Force",
    "MaxTokens",
    "ModelName",
    "Offline",
    "Opening",
    "Precision",
    "Resolution",
    "Sampling",
    "Seed",
    "Stop",
    "Temperature",
    "Threads",
    "TopP",
    "complete_clip",
    "complete_model",
    "doubt",
    "say_unread",
    "unread",
]

_SINGLE = tuple(name for name in PRECISIONS if "-" not in name)  # pairs are told in words


def complete_model(incomplete: str) -> Iterator[str]:
    return _names(incomplete, catalog.MODELS)


def _complete_fastvlm(incomplete: str) -> Iterator[str]:
    return _names(incomplete, [row for row in catalog.MODELS if row.kind == "fastvlm"])


def complete_clip(incomplete: str) -> Iterator[str]:
    return _names(incomplete, [row for row in catalog.MODELS if row.kind == "mobileclip"])


def _names(incomplete: str, rows: Iterable[catalog.Model]) -> Iterator[str]:
    names = (name for row in rows for name in (row.name, *row.aliases))
    return (name for name in names if name.startswith(incomplete))


def _complete_precision(incomplete: str) -> Iterator[str]:
    return (name for name in _SINGLE if name.startswith(incomplete))


def _complete_clip_precision(incomplete: str) -> Iterator[str]:
    return (name for name in CLIP_PRECISIONS if name.startswith(incomplete))


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A name of `galago models`, a folder, or owner/name of the hub.",
        autocompletion=_complete_fastvlm,
    ),
]
ClipModelName = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A MobileCLIP of `galago models`, a folder, a .pt file, or owner/name of the hub.",
        autocompletion=complete_clip,
    ),
]
ClipPrecision = Annotated[
    str,
    typer.Option(
        metavar="|".join(CLIP_PRECISIONS),
        help="Arithmetic; auto: bf16 where the CPU has it and the model is large, else fp32.",
        autocompletion=_complete_clip_precision,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="|".join(_SINGLE),
        help="Arithmetic; auto: vision as the CPU likes it, language int8 (7B: int4). "
        "A pair is language-vision: int8-int8 tries vision in 8 bits too.",
        autocompletion=_complete_precision,
    ),
]


def _side(text: str | None) -> Side | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"resolution {text!r} is neither a number of pixels nor auto") from None


Resolution = Annotated[
    str | None,
    typer.Option(
        "--resolution",
        "-r",
        metavar="N|auto",
        help="Side in pixels, a multiple of 64 from 256 to 1536; the model's own by default. "
        "auto: from 512 to the model's own, the smallest that holds all a picture shows.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(metavar="N", help="CPU threads; all cores by default."),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Contact nobody (HF_HUB_OFFLINE=1 does the same)."),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Convert again, and keep a result that fails its self-check."),
]
MaxTokens = Annotated[int, typer.Option(metavar="N", help="At most so many tokens of answer.")]
Temperature = Annotated[
    float, typer.Option(metavar="T", help="0 takes the likeliest token; higher is more varied.")
]
TopP = Annotated[
    float, typer.Option("--top-p", metavar="P", help="Draw among the likeliest P of probability.")
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Makes a drawn answer repeatable.")]
Stop = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="End the answer before this text (may be repeated)."),
]


Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Opening:
    """Which FastVLM is opened, and how."""

    model: ModelName = catalog.DEFAULT
    resolution: Resolution = None  # as it was typed
    precision: Precision = "auto"
    threads: Threads = None
    offline: Offline = False

    def load(self, prompt: str = "") -> FastVLM:
        """The model, with its stages shown on stderr, and whether it can read the prompt."""
        from galago.vlm.fastvlm import FastVLM

        vlm = _staged(FastVLM.load, self, resolution=_side(self.resolution))
        say_unread(vlm.name, prompt)
        return vlm


@dataclass(frozen=True)
class ClipOpening:
    """Which MobileCLIP is opened, and how."""

    model: ClipModelName = catalog.DEFAULT_CLIP
    precision: ClipPrecision = "auto"
    threads: Threads = None
    offline: Offline = False

    def load(self) -> MobileCLIP:
        """The model, with its stages shown on stderr."""
        from galago.clip.mobileclip import MobileCLIP

        return _staged(MobileCLIP.load, self)


def _staged(load: Callable[..., Loaded], opening: Opening | ClipOpening, **more: Any) -> Loaded:
    """What `load` opens, with its stages shown on stderr."""
    from galago.cli.terminal import stages

    with stages() as progress:
        return load(
            opening.model,
            precision=opening.precision,
            offline=opening.offline or None,
            threads=opening.threads,
            progress=progress,
            **more,
        )


_noted: set[str] = set()


def unread(model: str, prompt: str) -> str | None:
    """What to say when a demonstration model is asked in letters that it wasn't taught."""
    row = catalog.find(model)
    demonstration = row is not None and row.name == model and row.embedded
    return language_note([prompt], model) if demonstration else None


def say_unread(model: str, prompt: str) -> None:
    from galago.cli.terminal import say

    if note := unread(model, prompt):
        say(f"note: {note}")


def doubt(model: str, confidence: float) -> None:
    """Say, once per process, that a demonstration model met what it probably doesn't know."""
    from galago.cli.terminal import say

    found = catalog.doubt(model, confidence)
    if found is not None and model not in _noted:
        _noted.add(model)
        say(found.sentence())


@dataclass(frozen=True)
class Sampling:
    """How an answer is generated."""

    max_tokens: MaxTokens = 256
    temperature: Temperature = 0.0
    top_p: TopP = 1.0
    seed: Seed = None
    stop: Stop = None

    def options(self) -> SamplingOptions:
        """The same for the model; OptionError for values that none can be."""
        from galago.vlm.sampling import SamplingOptions

        return SamplingOptions(
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            max_tokens=self.max_tokens,
            stop=tuple(self.stop or ()),
        )
