"""Options that more than one verb takes, and the objects they are gathered into."""

from __future__ import annotations

import os
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
    from galago.hub.choice import Choice
    from galago.media.pool import PicturePool
    from galago.vlm.fastvlm import FastVLM
    from galago.vlm.sampling import SamplingOptions

__all__ = [
    "ClipModelName",
    "ClipOpening",
    "ClipPrecision",
    "Device",
    "Force",
    "KeepRepetition",
    "MaxTokens",
    "MinP",
    "ModelName",
    "NewFolder",
    "Offline",
    "Opening",
    "Precision",
    "RepetitionPenalty",
    "Resolution",
    "Sampling",
    "Seed",
    "SourceModel",
    "Stop",
    "Temperature",
    "Threads",
    "TopK",
    "TopP",
    "VisionDevice",
    "complete_clip",
    "complete_fastvlm",
    "complete_model",
    "doubt",
    "say_unread",
    "unread",
]

_SINGLE = tuple(name for name in PRECISIONS if "-" not in name)  # pairs are told in words


def complete_model(incomplete: str) -> Iterator[str]:
    return _names(incomplete, catalog.MODELS)


def complete_fastvlm(incomplete: str) -> Iterator[str]:
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
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A name of `galago models`, a folder, or owner/name of the hub; the best that is here "
        "unless `galago use` says otherwise.",
        autocompletion=complete_fastvlm,
    ),
]
SourceModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name of `galago models`, a folder, or owner/name of the hub.",
        autocompletion=complete_model,
    ),
]
NewFolder = Annotated[str, typer.Argument(metavar="OUT", help="The folder to write; a new one.")]
ClipModelName = Annotated[
    str | None,
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
Device = Annotated[
    str | None,
    typer.Option(
        metavar="CPU|GPU|NPU|AUTO|…",
        help="What computes, the CPU by default; AUTO: the best here, the CPU until it is ready. "
        "`galago doctor` lists what is here.",
    ),
]
VisionDevice = Annotated[
    str | None,
    typer.Option(
        "--vision-device",
        metavar="CPU|GPU|NPU|AUTO|…",
        help="What looks at pictures, where that is another one.",
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Contact nobody (HF_HUB_OFFLINE=1 does the same)."),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Convert again, and keep a result that fails its self-check."),
]
NoIcc = Annotated[
    bool,
    typer.Option("--no-icc", help="Ignore colour profiles (GALAGO_ICC=0 does the same)."),
]
MaxTokens = Annotated[int, typer.Option(metavar="N", help="At most so many tokens of answer.")]
Temperature = Annotated[
    float, typer.Option(metavar="T", help="0 takes the likeliest token; higher is more varied.")
]
TopP = Annotated[
    float, typer.Option("--top-p", metavar="P", help="Draw among the likeliest P of probability.")
]
TopK = Annotated[
    int, typer.Option("--top-k", metavar="K", help="Draw among the K likeliest; 0: among all.")
]
MinP = Annotated[
    float,
    typer.Option("--min-p", metavar="P", help="Draw among those P times as likely as the first."),
]
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        "--repetition-penalty", metavar="R", help="Above 1: say less often what was said; 1: off."
    ),
]
KeepRepetition = Annotated[
    bool, typer.Option("--keep-repetition", help="Don't cut an answer that goes round in circles.")
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

    model: ModelName = None
    resolution: Resolution = None  # as it was typed
    precision: Precision = "auto"
    threads: Threads = None
    device: Device = None
    vision_device: VisionDevice = None
    no_icc: NoIcc = False
    offline: Offline = False

    def load(
        self, prompt: str = "", pool: PicturePool | None = None, *, quickest: bool = False
    ) -> FastVLM:
        """The model, with its stages shown on stderr, and whether it can read the prompt.

        `pool` opens its pictures; `quickest` of those here where none was named, not the best.
        """
        if self.no_icc:  # for this process and those that it starts
            os.environ["GALAGO_ICC"] = "0"
        from galago.cli.hints import suggest_resolution
        from galago.vlm.fastvlm import FastVLM

        side = _side(self.resolution)
        name = self.name(quickest=quickest)
        vlm = _staged(
            FastVLM.load, name, self, resolution=side, pool=pool, vision_device=self.vision_device
        )
        say_unread(vlm.name, prompt)
        if self.resolution is None and self.device is None and self.vision_device is None:
            suggest_resolution(vlm)
        return vlm

    def name(self, *, quickest: bool = False) -> str:
        """The model that was asked for, else the best here (or the quickest), which is told."""
        from galago.convert.choice import choose_fastvlm

        return self.model or _told(choose_fastvlm(self.precision, quickest=quickest))


@dataclass(frozen=True)
class ClipOpening:
    """Which MobileCLIP is opened, and how."""

    model: ClipModelName = None
    precision: ClipPrecision = "auto"
    threads: Threads = None
    offline: Offline = False
    device: Device = None

    def load(self, pool: PicturePool | None = None) -> MobileCLIP:
        """The model, with its stages shown on stderr; `pool` opens its pictures."""
        from galago.clip.mobileclip import MobileCLIP

        return _staged(MobileCLIP.load, self.name(), self, pool=pool)

    def name(self) -> str:
        """The model that was asked for, else the best here, which is told."""
        from galago.hub.choice import choose_clip

        return self.model or _told(choose_clip())


def _told(choice: Choice) -> str:
    """The name of what was chosen; a line on stderr where there was a choice."""
    from galago.cli.terminal import say

    line = choice.sentence()
    if line is not None and line not in _noted:
        _noted.add(line)
        say(line)
    return choice.name


def _staged(
    load: Callable[..., Loaded], name: str, opening: Opening | ClipOpening, **more: Any
) -> Loaded:
    """What `load` opens, with its stages shown on stderr."""
    from galago.cli.terminal import stages

    with stages() as progress:
        return load(
            name,
            precision=opening.precision,
            offline=opening.offline or None,
            threads=opening.threads,
            device=opening.device,
            progress=progress,
            **more,
        )


_noted: set[str | tuple[str, str]] = set()


def unread(model: str, prompt: str) -> str | None:
    """What to say when a demonstration model is asked in letters that it wasn't taught."""
    row = catalog.find(model)
    demonstration = row is not None and row.name == model and row.embedded
    return language_note([prompt], model) if demonstration else None


def say_unread(model: str, prompt: str) -> None:
    from galago.cli.terminal import say

    if note := unread(model, prompt):
        say(f"note: {note}")


def doubt(model: str, head: str = "") -> None:
    """Say that a model met what it probably doesn't know: at length once, then in a few words.

    `head` says of which picture.
    """
    from galago.cli.terminal import say

    known = ("doubt", model) in _noted
    _noted.add(("doubt", model))
    say(f"{head}{model} is not sure here either" if known else f"{head}{catalog.doubt(model)}")


@dataclass(frozen=True)
class Sampling:
    """How an answer is generated."""

    max_tokens: MaxTokens = 256
    temperature: Temperature = 0.0
    top_p: TopP = 1.0
    top_k: TopK = 0
    min_p: MinP = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    keep_repetition: KeepRepetition = False
    seed: Seed = None
    stop: Stop = None

    def options(self) -> SamplingOptions:
        """The same for the model; OptionError for values that none can be."""
        from galago.vlm.sampling import SamplingOptions

        if self.max_tokens == 0:
            raise OptionError("--max-tokens 0 leaves no answer: use 1 or more")
        self._say_what_is_idle()
        return SamplingOptions(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            keep_repetition=self.keep_repetition,
            seed=self.seed,
            max_tokens=self.max_tokens,
            stop=tuple(self.stop or ()),
        )

    def _say_what_is_idle(self) -> None:
        """The likeliest token is nobody's draw: what narrows or repeats a draw does nothing."""
        from galago.cli.terminal import say

        narrowed = (("--top-p", self.top_p < 1), ("--top-k", self.top_k), ("--min-p", self.min_p))
        given = [name for name, on in (*narrowed, ("--seed", self.seed is not None)) if on]
        if given and self.temperature == 0:
            say(f"{' and '.join(given)} change nothing at temperature 0; give --temperature, too")
