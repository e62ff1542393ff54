"""Which model is meant when nobody names one: the best that is on this machine.

What was set beforehand wins: GALAGO_MODEL or GALAGO_CLIP in the environment, then `galago use`
(galago/config.py).  Else of the models that are here the largest that fits the memory, and the
embedded one when there is no other.  Nothing is fetched for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from galago import catalog, config, memory
from galago.hub.resolve import local

__all__ = ["Candidate", "Choice", "choose", "choose_clip", "clips"]

Why = Literal["named", "environment", "config", "best", "embedded"]

VARIABLES: dict[catalog.Kind, str] = {"fastvlm": "GALAGO_MODEL", "mobileclip": "GALAGO_CLIP"}
_DEFAULTS: dict[catalog.Kind, str] = {
    "fastvlm": catalog.DEFAULT,
    "mobileclip": catalog.DEFAULT_CLIP,
}
# Beyond its weights: pictures, caches of keys and values, what a graph computes with.
_BESIDES = 1 << 30


@dataclass(frozen=True)
class Candidate:
    """A model on this machine: its name, and the bytes of weights that it holds in memory."""

    name: str
    weights: int


@dataclass(frozen=True)
class Choice:
    """A model's name, and why it is that one; `skipped` were larger and don't fit the memory."""

    name: str
    why: Why
    skipped: tuple[str, ...] = ()

    def sentence(self) -> str | None:
        """One line for people; None when there was nothing to choose."""
        if self.why == "environment":
            return f"using {self.name}, as the environment says"
        if self.why == "config":
            return f"using {self.name}, as `galago use` was told; -m takes another"
        told = f"; {', '.join(self.skipped)} would not fit the free memory" if self.skipped else ""
        if self.why == "best":
            return f"using {self.name}, the best here{told}; -m or `galago use` takes another"
        return f"using {self.name}{told}" if told else None


def choose(
    kind: catalog.Kind, find: Callable[[], Sequence[Candidate]], *, quickest: bool = False
) -> Choice:
    """The model of this kind to use: as set beforehand, else of those that `find` finds here.

    `quickest`: the smallest of them instead of the largest that fits.  Raises OptionError for a
    configuration that can't be understood.
    """
    if found := _set_beforehand(kind):
        return found
    here = find()
    free = memory.available()
    fitting = [one for one in here if free is None or one.weights + _BESIDES <= free]
    if not fitting:
        return Choice(_DEFAULTS[kind], "embedded", tuple(one.name for one in here))
    best = (min if quickest else max)(fitting, key=lambda one: one.weights)
    skipped = () if quickest else tuple(one.name for one in here if one.weights > best.weights)
    return Choice(best.name, "best", skipped)


def _set_beforehand(kind: catalog.Kind) -> Choice | None:
    """What the environment or the configuration says of this kind."""
    if named := os.environ.get(VARIABLES[kind], "").strip():
        return Choice(named, "environment")
    own = config.read()
    kept = own.model if kind == "fastvlm" else own.clip
    return Choice(kept, "config") if kept else None


def choose_clip() -> Choice:
    """As `choose`, of the MobileCLIPs that are here."""
    return choose("mobileclip", clips)


def clips() -> list[Candidate]:
    """The fetched models of the catalogue that find pictures."""
    rows = [row for row in catalog.MODELS if row.kind == "mobileclip" and not row.embedded]
    return [Candidate(row.name, row.download) for row in rows if local(row.name) is not None]
