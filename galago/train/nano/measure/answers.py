"""A vision-language model's answers about what was held out whole, judged word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from galago.text.edits import character_errors
from galago.text.presets import PRESETS
from galago.train.nano.data.captions import load_synonyms
from galago.train.nano.doubt.pictures import singular
from galago.train.nano.measure import pictures
from galago.train.nano.measure.pictures import Shown, both, nouns_in
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

OPTIONS = SamplingOptions(max_tokens=96)
# In half of a book's photographs there is somebody: what else was named is told apart.
PEOPLE = frozenset(
    {
        "person",
        "people",
        "man",
        "woman",
        "boy",
        "girl",
        "child",
        "baby",
        "kid",
        "student",
        "teacher",
        "soldier",
        "president",
        "worker",
        "player",
        "doctor",
        "nurse",
        "adult",
        "family",
        "crowd",
        "group",
        "couple",
        "human",
    }
)
SPOKEN = frozenset({"photo", "picture", "image", "emoji"})  # of every answer
PARTS = ("fingers", "text", "everyday")
Figures = dict[str, Any]


def count(vlm: FastVLM, shown: Iterable[Shown]) -> Figures:
    """Share of counts that are right; by count, and their mean, which no favourite count lifts."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    confused: Counter[str] = Counter()
    for one in track(list(shown), description="fingers"):
        said = vlm.ask(one.picture, PRESETS["count"], OPTIONS).strip(" .")
        for key in ("all", f"n{one.truth}"):
            seen[key] += 1
            right[key] += said == one.truth
        confused[f"{one.truth}>{said[:2]}"] += said != one.truth
    each = [right[key] / seen[key] for key in seen if key in {f"n{n}" for n in range(1, 6)}]
    figures: Figures = {key: round(right[key] / seen[key], 4) for key in sorted(seen)}
    return figures | {
        "mean_of_counts": round(sum(each) / max(1, len(each)), 4),
        "count": seen["all"],
        "confused": dict(confused.most_common(8)),
    }


def read(vlm: FastVLM, shown: Iterable[Shown]) -> Figures:
    """Character error rate (white space folded) by source, and the share read without error."""
    wrong: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for one in track(list(shown), description="text"):
        said = vlm.ask(one.picture, PRESETS["read"], OPTIONS)
        errors, length = character_errors(one.truth, said)
        seen[one.source] += 1
        wrong[one.source] += errors
        letters[one.source] += length
        exact[one.source] += not errors
    return {
        source: {
            "cer": round(wrong[source] / letters[source], 4),
            "exact": round(exact[source] / seen[source], 4),
            "count": seen[source],
            "letters": letters[source],
        }
        for source in seen
    }


def name(vlm: FastVLM, shown: Iterable[Shown], nouns: Collection[str]) -> Figures:
    """Share of pictures of which "describe" or "brief" names something that is there, by source.

    Beside it what the best constant answer reaches, the share without people, and how many nouns
    an answer has: many guesses hit too.
    """
    by_source: dict[str, list[Shown]] = {}
    for one in shown:
        by_source.setdefault(one.source, []).append(one)
    figures: Figures = {}
    for source, some in by_source.items():
        for question in ("describe", "brief"):
            hits = things = named = 0
            for one in track(some, description=f"{source}: {question}"):
                said = named_in(vlm.ask(one.picture, PRESETS[question], OPTIONS), nouns)
                hits += bool(said & one.names)
                things += bool((said & one.names) - PEOPLE)
                named += len(said)
            constant, share = pictures.best_constant(some)
            figures.setdefault(
                source, {"count": len(some), "constant": [constant, round(share, 4)]}
            )
            figures[source][question] = {
                "right": round(hits / len(some), 4),
                "right_without_people": round(things / len(some), 4),
                "nouns_an_answer": round(named / len(some), 2),
            }
    return figures


def named_in(answer: str, nouns: Collection[str]) -> set[str]:
    """What an answer names: nouns, and other names of the things that were taught."""
    found = nouns_in(answer, nouns)
    words = f" {singular(answer)} "
    synonyms = load_synonyms()
    for label, others in synonyms.names.items():
        if f" {singular(label)} " in words:
            for other in (label, *others):
                found |= both(singular(other))
    return found - SPOKEN


@dataclass(frozen=True)
class Sources:
    """Where the pictures come from: shards, packages, stamps (or None); how many of each source
    at most (None: all), how many notes are drawn, and the seed."""

    data: Path
    packages: Path
    stamps: Path | None
    each: int | None
    notes: int
    seed: int


def measure_vlm(vlm: FastVLM, part: str, sources: Sources) -> Figures:
    """One of PARTS, of the sources held out whole, by galago's own code."""
    data, each, seed = sources.data, sources.each, sources.seed
    if part == "fingers":
        return count(vlm, pictures.some(pictures.hands(data), each, seed))
    if part == "text":
        drawn = pictures.notes(
            data, sources.packages, seed, min(sources.notes, each or sources.notes)
        )
        return read(vlm, [*drawn, *pictures.some(pictures.texts(data), each, seed)])
    nouns = pictures.vocabulary(data)
    everyday = list(pictures.everyday(data, nouns))
    if sources.stamps is not None:
        everyday += list(pictures.stamps(sources.stamps, nouns))
        nouns |= {name for one in everyday for name in one.names}
    return name(vlm, pictures.some(everyday, each, seed), nouns)
