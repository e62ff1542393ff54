"""The models galago knows by name: one frozen row each, no code.

A row says where a model comes from and under which licence; how it is built is read from its own
configuration (galago/checkpoint.py). Any other folder or hub name in a known layout works too.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from galago.errors import UnknownModelError

__all__ = ["DEFAULT", "DEFAULT_CLIP", "MODELS", "Licence", "Model", "find", "lookup", "suggest"]

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


@dataclass(frozen=True)
class Model:
    """One model.

    `repo` is its hub name, None for a model that comes inside the package. `download` is what is
    fetched, in bytes, about; `parameters` counts vision, projector and language together, about.
    Below a confidence of `sure` (galago.Stats) a picture is probably outside what it `knows`.
    """

    name: str
    summary: str
    licence: Licence
    repo: str | None
    download: int
    parameters: int
    side: int
    layout: str = "llava_qwen2"
    aliases: tuple[str, ...] = ()
    sure: float = 0.0
    knows: str = ""

    @property
    def embedded(self) -> bool:
        """Whether the weights come with the package."""
        return self.repo is None

    @property
    def folder(self) -> Path:
        """Where an embedded model lies."""
        return Path(__file__).parent / "models" / self.name


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


# Sizes: 0.5B is the sum of its published tensors; the others follow from their shapes (BF16, the
# output layer stored beside the embedding).
MODELS: tuple[Model, ...] = (
    Model(
        name=DEFAULT,
        summary="small demonstration model, wrong more often than right",
        licence=APACHE,
        repo=None,
        download=0,
        parameters=7_460_000,
        side=256,
        aliases=("nano",),
        sure=0.75,
        knows="short notes, raised fingers, 202 emoji, 195 objects",
    ),
    *_apple("0.5B", 1.52, 0.76),
    *_apple("1.5B", 3.82, 1.91),
    *_apple("7B", 15.5, 7.76),
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
        raise UnknownModelError(unknown(name))
    return row


def suggest(name: str) -> list[str]:
    """Up to three known names that look like a mistyped one, nearest first."""
    wanted = name.strip().casefold()
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


def unknown(name: str) -> str:
    """The line to show for a name that no model has."""
    near = suggest(name)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = "`galago models` lists what there is; a folder or an owner/name of the hub works too"
    return f"no model is called {name!r}; {hint}"
