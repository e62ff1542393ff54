"""A model's doubt fitted with one half of what was measured, and tried on the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galago.checkpoints.doubt import Taught, write_taught
from galago.checkpoints.tensors import Float
from galago.clip.mobileclip import MobileCLIP
from galago.train.nano.doubt import fit
from galago.train.nano.doubt.measure import Asked, Measured, Seen
from galago.train.nano.doubt.queries import calibrate_words
from galago.train.nano.doubt.report import SHARES, TARGET, Curve, Figures

KEEP = 64  # directions of the features
FOLDS = 5


def calibrate_vlm(measured: Measured, folder: Path, identity: str, seed: int) -> Figures:
    """Fit and try the doubt of a vision-language model; writes its file.

    The border is set for the question that is asked when none is given.
    """
    taught, asked = _fitted(measured, identity, "describe")
    write_taught(folder, taught)
    tried = [one for one in asked if measured.pictures[one.row].part in ("measure", "beside")]
    curves = []
    for question in ("describe", "brief"):
        some = [one for one in tried if one.question == question]
        curves.append(_curve(question, measured, taught, some))
    known = {"count": "fingers", "read": "note"}
    for question, kind in known.items():
        some = [
            o for o in tried if o.question == question and measured.pictures[o.row].kind == kind
        ]
        if some:
            curves.append(_curve(question, measured, taught, some))
    return _figures(folder.name, seed, measured, curves)


def calibrate_clip(
    clip: MobileCLIP,
    measured: Measured,
    labels: Sequence[str],
    words: Mapping[str, Sequence[str]],
    held_out: Sequence[str],
    folder: Path,
    seed: int,
) -> Figures:
    """The same of a two-tower model: of its pictures, and of words."""
    taught, asked = _fitted(measured, clip.identity, "classify")
    taught, search = calibrate_words(clip, taught, measured, labels, words, held_out, seed)
    write_taught(folder, taught)
    tried = [one for one in asked if measured.pictures[one.row].part == "measure"]
    return _figures(
        folder.name, seed, measured, [_curve("classify", measured, taught, tried), search]
    )


def _fitted(measured: Measured, identity: str, question: str) -> tuple[Taught, list[Asked]]:
    """Doubt fitted with the right answers about known things and those about unknown ones."""
    pictures = measured.pictures
    labels = {row: _label(one) for row, one in enumerate(pictures) if _shows_taught(one)}
    space = fit.space_of(measured.features[list(labels)], list(labels.values()), KEEP)
    size = KEEP + 1 + len(measured.asked[0].answer)
    blank = Taught(
        identity, space.middle, space.whiten, space.centres, np.zeros(size, np.float32), 0.0, 0.5
    )
    used = [
        one
        for one in measured.asked
        if pictures[one.row].part == "fit" and (one.right or _is_odd(pictures[one.row]))
    ]
    signals = np.stack([_signals(blank, measured, one) for one in used])
    right = np.array([one.right for one in used])
    weights, bias = fit.regression(signals, right, _weights(measured, used))
    border = _border(signals, measured, used, question)
    taught = Taught(
        identity,
        space.middle,
        space.whiten,
        space.centres,
        np.asarray(weights, np.float32),
        float(np.float32(bias)),
        float(np.float32(border)),
    )
    return taught, measured.asked


def _border(signals: fit.Wide, measured: Measured, used: Sequence[Asked], question: str) -> float:
    """Where TARGET of the unknown things are, each judged by a regression that hadn't seen its
    group."""
    right = np.array([one.right for one in used])
    counted = _weights(measured, used)
    fold = np.array([fit.fold_of(measured.pictures[one.row].group, FOLDS) for one in used])
    known = np.zeros(len(used))
    for number in range(FOLDS):
        inside, others = fold == number, fold != number
        if inside.any() and len(set(right[others])) == 2:
            weights, bias = fit.regression(signals[others], right[others], counted[others])
            known[inside] = 1 / (1 + np.exp(-np.clip(signals[inside] @ weights + bias, -500, 500)))
    odd = ~right & np.array([one.question == question for one in used])
    return fit.border_at(list(known[odd]), TARGET, counted[odd])


def _weights(measured: Measured, used: Sequence[Asked]) -> fit.Wide:
    """No source of unknown things, and no kind of known ones, drowns the others."""
    seen = [measured.pictures[one.row] for one in used]
    origins = [one.source if _is_odd(one) else one.kind for one in seen]
    return fit.balanced(origins, np.array([one.right for one in used]))


def _label(one: Seen) -> str:
    """What a picture is filed under; notes under one name, as no two say the same."""
    return f"{one.kind} {'' if one.kind == 'note' else one.truth}"


def _shows_taught(one: Seen) -> bool:
    """Notes have no part that was taught with: the half to fit with stands for it."""
    return one.part == "taught" or (one.part == "fit" and one.kind == "note")


def _is_odd(seen: Seen) -> bool:
    """What a wrong answer about is fitted with: scenes hold things never taught as well."""
    return seen.kind in ("unknown", "scene")


def _signals(taught: Taught, measured: Measured, one: Asked) -> fit.Wide:
    return np.append(taught.signals(_of(measured, one)), one.answer).astype(np.float64)


@dataclass(frozen=True)
class _Judged:
    """An answer, what it was about, and how probably the model knows that."""

    seen: Seen
    one: Asked
    known: float

    @property
    def unknown(self) -> bool:
        return self.seen.kind == "unknown"

    @property
    def usual(self) -> bool:
        """About a known thing of a source that was trained on."""
        return not self.unknown and self.seen.part == "measure"


def _curve(task: str, measured: Measured, taught: Taught, asked: Sequence[Asked]) -> Curve:
    """What the doubt of answers costs; none of `asked` was fitted with."""
    judged = [
        _Judged(measured.pictures[one.row], one, taught.known(_of(measured, one), one.answer))
        for one in asked
    ]
    unknown = [each for each in judged if each.unknown]
    right = [each for each in judged if each.usual and each.one.right]
    wrong = [each for each in judged if each.usual and not each.one.right]
    sources: dict[str, list[_Judged]] = defaultdict(list)
    kinds: dict[str, list[_Judged]] = defaultdict(list)
    for each in judged:
        if each.unknown:
            sources[each.seen.source].append(each)
        else:
            kinds[f"{each.seen.kind}: {each.seen.source}"].append(each)
    return Curve(
        task,
        len(unknown),
        len(right),
        len(wrong),
        fit.point_at(taught.border, _known(unknown), _known(right)),
        _doubted(taught, wrong),
        fit.curve(_known(unknown), _known(right), SHARES) if unknown else (),
        fit.curve(_sure(unknown), _sure(right), SHARES) if unknown and _sure(unknown) else (),
        {name: (1 - _doubted(taught, some), len(some)) for name, some in sorted(sources.items())},
        {name: _split(taught, some) for name, some in sorted(kinds.items())},
    )


def _split(taught: Taught, judged: Sequence[_Judged]) -> tuple[float, int, float, int]:
    """The share of right answers doubted and their count, and the same of wrong ones."""
    right = [each for each in judged if each.one.right]
    wrong = [each for each in judged if not each.one.right]
    return _doubted(taught, right), len(right), _doubted(taught, wrong), len(wrong)


def _of(measured: Measured, one: Asked) -> Float:
    return np.asarray(measured.features[one.row], np.float32)


def _known(judged: Sequence[_Judged]) -> list[float]:
    return [each.known for each in judged]


def _sure(judged: Sequence[_Judged]) -> list[float]:
    """The mean log-probability of answers' tokens; of what has no tokens there is none."""
    return [each.one.answer[0] for each in judged if each.one.answer]


def _doubted(taught: Taught, judged: Sequence[_Judged]) -> float:
    return fit.point_at(taught.border, (), _known(judged)).doubted


def _figures(model: str, seed: int, measured: Measured, curves: Sequence[Curve]) -> Figures:
    def counts(part: str) -> dict[str, int]:
        found = Counter(one.source for one in measured.pictures if one.part == part)
        return dict(sorted(found.items()))

    return Figures(model, seed, counts("fit"), counts("measure"), list(curves))
