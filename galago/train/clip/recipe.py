"""What a data set is reinforced with, and what of it is kept beside the shards."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from galago.errors import OptionError
from galago.train.clip.contents import contents_of
from galago.train.clip.shelf import Shelf
from galago.train.clip.teachers import TeacherRow
from galago.version import __version__

__all__ = ["PLAN", "Recipe", "check_plan", "keep_plan", "read_captions", "read_teachers"]

PLAN = "reinforce.json"
_FORMAT = 1
_CONTENTS = "contents"
DTYPES = ("float16", "float32")


@dataclass(frozen=True)
class Recipe:
    """teachers by name, whose rows stand side by side; scales: of their cosines, None for the
    paper's or their own.  captions: how many synthetic ones a picture gets of the captioner.
    augmentations: how many of a picture the teachers see.  batch: pictures that are looked at
    together.  dtype: of the rows as they are stored.
    """

    teachers: tuple[str, ...]
    scales: tuple[float, ...] | None = None
    captioner: str | None = None
    captions: int = 5
    augmentations: int = 10
    seed: int = 0
    batch: int = 8
    dtype: str = "float16"
    offline: bool = False

    def __post_init__(self) -> None:
        if not self.teachers:
            raise OptionError("--teacher is missing: name one, such as galago:conse")
        for name in ("captions", "augmentations", "batch"):
            if not 1 <= getattr(self, name) <= 1000:
                raise OptionError(f"--{name} {getattr(self, name)} is not possible: use 1 to 1000")
        if self.dtype not in DTYPES:
            raise OptionError(f"--dtype {self.dtype!r} is not possible: use {', '.join(DTYPES)}")
        if self.scales is not None:
            if len(self.scales) != len(self.teachers):
                raise OptionError(
                    f"--scales names {len(self.scales)} numbers for {len(self.teachers)} teachers"
                )
            if not all(0 < scale <= 1000 for scale in self.scales):
                raise OptionError("--scales are numbers above 0, such as 70,60")

    @property
    def contents(self) -> dict[str, str]:
        """What the files of teachers and captioner hold, by name, as far as they lie here."""
        return contents_of([*self.teachers, *filter(None, [self.captioner])])

    def plan(self, teachers: Sequence[TeacherRow], cut: dict[str, Any] | None) -> dict[str, Any]:
        """What the shards depend on, as JSON; `cut` as sources.cut_of says it."""
        return {
            "format": _FORMAT,
            "teachers": [dataclasses.asdict(row) for row in teachers],
            "captioner": self.captioner,
            "captions": self.captions if self.captioner else 0,
            "augmentations": self.augmentations,
            "seed": self.seed,
            "dtype": self.dtype,
            "cut": cut,
        }


def check_plan(out: Shelf, recipe: Recipe, cut: dict[str, Any] | None) -> None:
    """OptionError where the shards there were made by another recipe, as far as can be told before
    the teachers are loaded."""
    known = recipe.plan([], cut)
    before = out.told(PLAN)
    del known["teachers"]
    _compare(out, before, known)
    names = [str(one.get("name")) for one in before.get("teachers", [])]
    if before and names != list(recipe.teachers):
        raise OptionError(
            f"the shards in {out} are of {', '.join(names)}, and now it is "
            f"{', '.join(recipe.teachers)}: give the same, or another folder"
        )
    if before.get(_CONTENTS):
        _compare_contents(out, before, recipe.contents)


def keep_plan(out: Shelf, plan: dict[str, Any], contents: dict[str, str]) -> None:
    """Write the plan beside the shards, and what the files of teachers and captioner hold.

    OptionError where those there were made by another.
    """
    before = out.told(PLAN)
    _compare(out, before, plan)
    _compare_contents(out, before, contents)
    if not before:
        whole = {**plan, _CONTENTS: contents, "galago": __version__}
        with out.writing(PLAN) as file:
            file.write(json.dumps(whole, indent=1).encode())


def _compare_contents(out: Shelf, before: dict[str, Any], now: dict[str, str]) -> None:
    """Plans of an older galago have none to compare with; nor have machines without the files."""
    kept = before.get(_CONTENTS)
    for name, digest in (kept if isinstance(kept, dict) else {}).items():
        if now.get(name, digest) != digest:
            raise OptionError(
                f"{name} holds other weights than as the shards in {out} were made: give the same, "
                "or another folder"
            )


def _compare(out: Shelf, before: dict[str, Any], plan: dict[str, Any]) -> None:
    for key, value in plan.items():
        if before and before.get(key) != value:
            raise OptionError(
                f"the shards in {out} were made with {key} {_told(before.get(key))}, and now it is "
                f"{_told(value)}: give the same, or another folder"
            )


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{one['name']} ({one['dim']} x {one['scale']:g})" for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {told}" for name, told in value.items())
    return str(value)


def read_teachers(folder: Shelf) -> tuple[TeacherRow, ...]:
    """The teachers of the shards in a folder; none where no plan says it, as beside Apple's."""
    found = folder.told(PLAN).get("teachers", [])
    try:
        return tuple(TeacherRow(str(t["name"]), int(t["dim"]), float(t["scale"])) for t in found)
    except (KeyError, TypeError, ValueError):
        raise OptionError(f"{folder}/{PLAN} is damaged: give --dims and --scales") from None


def read_captions(folder: Shelf) -> int | None:
    """How many synthetic captions a picture of these shards got; None where no plan says it."""
    found = folder.told(PLAN).get("captions")
    return found if isinstance(found, int) else None
