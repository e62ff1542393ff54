"""What each precision and resolution of a model costs in quality, and which one to take.

A trial is a run of its own process, as memory is only told apart that way; the first one, in full
precision at the model's own resolution, is what the others are compared with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galago.evaluate.compare import Judged, compared, earlier
from galago.evaluate.intervals import Figure
from galago.evaluate.paired import Difference
from galago.evaluate.report import rounded

__all__ = ["Setting", "Trial", "advice", "crossed", "recommended", "sides", "trial_of"]

_LOST = 0.01  # of the answers may be right no more
_MARGIN = 0.05  # and not more than these by the interval, or too few were asked to tell
_SURE = 0.05  # the p of a difference that is believed
_LESS = (768, 512, 384, 256)  # sides in pixels, besides a model's own


@dataclass(frozen=True)
class Setting:
    """What is tried: arithmetic, as of --precision, and a side in pixels; None is the model's own,
    or of a MobileCLIP the only one."""

    precision: str
    side: int | None = None


@dataclass(frozen=True)
class Trial:
    """What came of a setting.

    precision: what it runs in, which may be another than was asked for.  same: the share of answers
    that are those of the first trial to the letter.  first: median seconds from opening a picture
    to the first token, or the label.  memory: the most bytes that the process held, None where the
    system can't say.  difference: of what is right, from the first trial; None of itself.
    """

    setting: Setting
    precision: str
    right: Figure
    same: float
    first: float
    memory: int | None
    difference: Difference | None

    def to_json(self) -> dict[str, Any]:
        return {
            "asked": self.setting.precision,
            "precision": self.precision,
            "resolution": self.setting.side,
            "right": rounded(asdict(self.right)),
            "same": round(self.same, 6),
            "seconds": round(self.first, 4),
            "memory": self.memory,
            "difference": rounded(asdict(self.difference)) if self.difference else None,
        }


def sides(own: int) -> list[int | None]:
    """The sides that are tried of a model with this one: its own, then less and less."""
    return [None, *(side for side in _LESS if side < own)]


def crossed(
    precisions: Sequence[str], each: Sequence[int | None], middle: str | None
) -> list[Setting]:
    """All precisions at the first side, all sides in the `middle` precision; without one, every
    precision at every side.  Full precision at the first side comes first in any case."""
    if middle is None:
        found = [Setting(one, side) for one in precisions for side in each]
    else:
        found = [Setting(one, each[0]) for one in precisions]
        found += [Setting(middle, side) for side in each]
    return list(dict.fromkeys([Setting("fp32", each[0]), *found]))


def trial_of(setting: Setting, folder: Path, first: Path) -> Trial:
    """What `galago evaluate own --out` wrote of a setting, beside what it wrote of the first one.

    OptionError where one of them isn't whole, or they share no question.
    """
    name, ours = earlier(folder)
    before, theirs = earlier(first)
    results = json.loads((folder / "results.json").read_text("utf-8"))
    difference = None
    if folder != first:
        difference = compared((before, theirs), (name, ours)).right
    return Trial(
        setting,
        str(results["settings"]["precision"]),
        Figure(**results["right"]),
        _same(ours, theirs),
        float(results["seconds"]),
        results["memory"],
        difference,
    )


def _same(ours: Sequence[Judged], theirs: Sequence[Judged]) -> float:
    said = {(one.where, one.metric, one.answers): one.said for one in theirs}
    pairs = [
        (one.said, said[key])
        for one in ours
        if (key := (one.where, one.metric, one.answers)) in said
    ]
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else 0.0


def recommended(trials: Sequence[Trial]) -> Trial:
    """The quickest that is as good as the first: at most one answer in a hundred is right no more,
    by the 95 % interval at most five, and no paired test calls that a loss (p < 0.05).

    Where few answers differ, a bootstrap knows no spread: so few questions as not to exclude a loss
    of five in a hundred, had it been there, recommend nothing but the first."""
    good = [one for one in trials if one.difference is None or _as_good(one.difference)]
    return min(good, key=lambda one: (one.first, one.memory or 0))


def _as_good(apart: Difference) -> bool:
    lost = apart.p < _SURE and apart.mean < 0
    unseen = 1 - _SURE ** (1 / apart.count)  # a loss that as many questions miss once in twenty
    return apart.mean >= -_LOST and max(-apart.low, unseen) <= _MARGIN and not lost


def advice(trials: Sequence[Trial]) -> str:
    """Which one to take and why, and what so many questions can't tell."""
    best, first = recommended(trials), trials[0]
    count = first.right.count
    blurred = (first.right.high - first.right.low) / 2
    doubt = (
        f"{count:,} questions tell a share that is right to ± {100 * blurred:.1f} points: smaller "
        "differences take more of them"
    )
    if best is first:
        return (
            f"recommended: {_named(first)}, as none that is quicker is known to be as good; {doubt}"
        )
    apart = best.difference
    assert apart is not None
    return (
        f"recommended: {_named(best)}: {100 * apart.mean:+.1f} points, {100 * best.same:.0f} % of "
        f"the answers the same, {first.first / max(best.first, 1e-9):.1f} times as fast to the "
        f"first word as {_named(first)}; {doubt}"
    )


def _named(one: Trial) -> str:
    words = f"--precision {one.setting.precision}"
    return words if one.setting.side is None else f"{words} --resolution {one.setting.side}"
