"""The models galago knows by name: one frozen row each, no code.

A row says where a model comes from and under which licence; how it is built is read from its own
configuration (galago/checkpoints). Any other folder or hub name in a known layout works too.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from galago.errors import MisfitError, UnknownModelError
from galago.places import MODELS as MODELS_DIR

__all__ = [
    "DEFAULT",
    "DEFAULT_CLIP",
    "MODELS",
    "Kind",
    "Layout",
    "Licence",
    "Model",
    "cannot",
    "check_kind",
    "doubt",
    "find",
    "lookup",
    "misfit",
    "strange",
    "suggest",
]

Kind = Literal["fastvlm", "mobileclip"]
Layout = Literal["llava_qwen2", "fast_vlm", "open_clip", "pt"]

DEFAULT = "fastvlm-nano"  # answers questions
DEFAULT_CLIP = "mobileclip2-nano"  # finds and labels pictures


@dataclass(frozen=True)
class Licence:
    """What the weights may be used for, in one line, and where the full text stands."""

    name: str
    terms: str
    url: str

    @property
    def line(self) -> str:
        return f"{self.name} ({self.terms}), {self.url}"


APACHE = Licence("Apache-2.0", "free for any use", "https://www.apache.org/licenses/LICENSE-2.0")
APPLE_AMLR = Licence(
    "apple-amlr",
    "research only, no commercial use",
    "https://huggingface.co/apple/FastVLM-0.5B/blob/main/LICENSE",
)
APPLE_AMLR_CLIP = replace(
    APPLE_AMLR, url="https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS"
)


@dataclass(frozen=True)
class Model:
    """One model.

    `repo` is its hub name, None for a model that comes inside the package. `download` is what is
    fetched, in bytes, about; `parameters` counts all of its parts together, about. `kind` says what
    it is for, `layout` which files it is made of. `knows`: what a
    small model was taught, in words; `cannot`: ready questions (galago.text.presets) that it was
    never taught to answer.
    """

    name: str
    summary: str
    licence: Licence
    repo: str | None
    download: int
    parameters: int
    side: int
    kind: Kind = "fastvlm"
    layout: Layout = "llava_qwen2"
    aliases: tuple[str, ...] = ()
    knows: str = ""
    cannot: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the weights come with the package."""
        return self.repo is None

    @property
    def folder(self) -> Path:
        """Where an embedded model lies."""
        return MODELS_DIR / self.name


def _apple(size: str, download: float, parameters: float) -> tuple[Model, Model]:
    """A FastVLM as Apple published it, and the same weights in the transformers layout."""
    published = Model(
        name=f"apple/FastVLM-{size}",
        summary=f"FastVLM {size} as Apple published it",
        licence=APPLE_AMLR,
        repo=f"apple/FastVLM-{size}",
        download=int(download * 1e9),
        parameters=int(parameters * 1e9),
        side=1024,
        aliases=(f"FastVLM-{size}",),
    )
    name = f"KamilaMila/FastVLM-{size}"
    return published, replace(
        published,
        name=name,
        repo=name,
        summary=f"FastVLM {size} in the transformers layout",
        layout="fast_vlm",
        aliases=(),
    )


def _mobileclip(
    variant: str, parameters: float, top1: float, *, side: int = 256, form: str = "both"
) -> list[Model]:
    """A MobileCLIP as published: in the open_clip layout, as Apple's `.pt`, or in both forms."""
    first = "MobileCLIP2-" not in variant
    open_clip = Model(
        name=f"{'apple' if first else 'timm'}/{variant}-OpenCLIP",
        summary=f"{variant}, {top1} % zero-shot on ImageNet",
        licence=APPLE_AMLR_CLIP,
        repo=f"{'apple' if first else 'timm'}/{variant}-OpenCLIP",
        download=int(parameters * 4e6),
        parameters=int(parameters * 1e6),
        side=side,
        kind="mobileclip",
        layout="open_clip",
        aliases=(variant,),
    )
    pickled = replace(
        open_clip,
        name=f"apple/{variant}",
        repo=f"apple/{variant}",
        summary=f"{open_clip.summary}, Apple's own .pt file",
        layout="pt",
        aliases=(variant,) if form == "pt" else (),
    )
    return {"both": [open_clip, pickled], "open_clip": [open_clip], "pt": [pickled]}[form]


# Sizes: 0.5B is the sum of its published tensors; the others follow from their shapes (BF16, the
# output layer stored beside the embedding).
MODELS: tuple[Model, ...] = (
    Model(
        name=DEFAULT,
        summary="small demonstration model, often wrong",
        licence=APACHE,
        repo=None,
        download=0,
        parameters=7_460_000,
        side=384,
        aliases=("nano",),
        knows="short notes, raised fingers, 202 emoji, 195 objects",
        cannot=("expression", "translate"),
    ),
    *_apple("0.5B", 1.52, 0.76),
    *_apple("1.5B", 3.82, 1.91),
    *_apple("7B", 15.5, 7.76),
    Model(
        name=DEFAULT_CLIP,
        summary="small demonstration model: 194 things, and words near their names",
        licence=APACHE,
        repo=None,
        download=0,
        parameters=7_990_000,
        side=192,
        kind="mobileclip",
        layout="open_clip",
        knows="objects, clothes, groceries and flowers",
    ),
    # Sizes follow from the shapes (FP32); the figures are those of apple/ml-mobileclip's README.
    # Of the first MobileCLIPs only the form is listed that needs the least trust or exists alone.
    *_mobileclip("MobileCLIP2-S0", 74.8, 71.5),
    *_mobileclip("MobileCLIP2-S2", 99.2, 77.2),
    *_mobileclip("MobileCLIP2-B", 149.8, 79.4, side=224),
    *_mobileclip("MobileCLIP2-S3", 248.8, 80.7),
    *_mobileclip("MobileCLIP2-S4", 445.3, 81.9),
    *_mobileclip("MobileCLIP2-L-14", 427.6, 81.9, side=224),
    *_mobileclip("MobileCLIP-S0", 53.8, 67.8, form="pt"),
    *_mobileclip("MobileCLIP-S1", 84.9, 72.6, form="open_clip"),
    *_mobileclip("MobileCLIP-S2", 99.2, 74.4, form="open_clip"),
    *_mobileclip("MobileCLIP-B", 149.8, 76.8, side=224, form="open_clip"),
    *_mobileclip("MobileCLIP-B-LT", 149.8, 77.2, side=224, form="open_clip"),
    *_mobileclip("MobileCLIP-S3", 248.8, 78.3, form="pt"),
    *_mobileclip("MobileCLIP-S4", 445.3, 79.4, form="pt"),
    *_mobileclip("MobileCLIP-L-14", 427.6, 79.5, side=224, form="pt"),
)


def find(name: str) -> Model | None:
    """The row of a name or alias, in any case; None when there is none."""
    wanted = name.strip().casefold()
    for row in MODELS:
        if wanted in (row.name.casefold(), *(alias.casefold() for alias in row.aliases)):
            return row
    return None


def lookup(name: str) -> Model:
    """The row of a name or alias; UnknownModelError with the nearest names otherwise."""
    row = find(name)
    if row is None:
        raise unknown(name)
    return row


def suggest(name: str) -> list[str]:
    """Up to three known names that look like a mistyped one, nearest first."""
    wanted = name.strip().casefold()
    begun = [row.name for row in MODELS if row.name.split("/")[-1].casefold().startswith(wanted)]
    if len(wanted) > 3 and begun:  # as listed: small ones first
        return begun[:3]
    scores: dict[str, float] = {}
    for row in MODELS:
        # The part after the owner counts as a name too: people leave the owner out.
        names = (row.name, row.name.split("/")[-1], *row.aliases)
        matcher = difflib.SequenceMatcher(b=wanted)
        for known in names:
            matcher.set_seq1(known.casefold())
            scores[row.name] = max(scores.get(row.name, 0.0), matcher.ratio())
    best = max(scores.values())
    near = [n for n, score in scores.items() if score >= 0.6 and score >= best - 0.04]
    return sorted(near, key=lambda n: -scores[n])[:3]


def unknown(name: str) -> UnknownModelError:
    """What to raise for a name that no model has."""
    near = suggest(name)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = "`galago models` lists what there is; a folder or an owner/name of the hub works too"
    return UnknownModelError(f"no model is called {name!r}; {hint}", name=name, near=near)


def doubt(name: str) -> str:
    """What is said of a picture, or of an answer about it, that a model doubts; one line."""
    row = _own(name)
    if row is None or not row.knows:
        return f"{name} is not sure here: this is probably outside what it was taught"
    better = "apple/FastVLM-0.5B" if row.kind == "fastvlm" else "MobileCLIP2-S0"
    return (
        f"{name} is a small demonstration model and not sure here: this is probably outside what "
        f"it knows ({row.knows}). For real pictures: galago pull {better}; it is used from then on"
    )


def strange(name: str, words: Sequence[str]) -> str | None:
    """What is said of words that name nothing a model was taught; one line, None without any."""
    if not words:
        return None
    row = _own(name)
    knows = f" (it knows {row.knows})" if row is not None and row.knows else ""
    shown = [f"“{word if len(word) <= 40 else f'{word[:39]}…'}”" for word in words]
    several = f"{', '.join(shown[:_NAMED])} and {len(shown) - _NAMED} more"
    named = several if len(shown) > _NAMED else ", ".join(shown)
    return f"{name} was never taught {named}{knows}: what fits there is chance"


_NAMED = 5  # words in a note; a list of labels may have a thousand


def _own(name: str) -> Model | None:
    """The row of this very name: a person's own folder may bear an alias."""
    row = find(name)
    return row if row is not None and row.name == name else None


def cannot(name: str) -> tuple[str, ...]:
    """Ready questions that the model of this name was never taught; of others nothing is known."""
    row = _own(name)
    return () if row is None else row.cannot


def check_kind(name: str, kind: Kind | None, needed: Kind | None) -> None:
    """MisfitError for a model of another kind than is needed, as far as that is known."""
    if kind and needed and kind != needed:
        raise misfit(name, kind)


def misfit(name: str, kind: Kind) -> MisfitError:
    """What to raise for a model of this kind where one of the other kind is needed."""
    if kind == "mobileclip":
        line = (
            f"{name} finds and labels pictures (`galago search`, `galago classify`) and answers no "
            f"questions: use a FastVLM here, such as {DEFAULT}"
        )
    else:
        line = (
            f"{name} answers questions about pictures (`galago describe`, `galago chat`) and "
            "doesn't find or label them: use a MobileCLIP here, such as MobileCLIP2-S0"
        )
    return MisfitError(line, name=name, kind=kind)
