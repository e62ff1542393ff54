"""Doubt of words: what a model was taught in words, and queries for what it never was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from galago.checkpoints.doubt import Taught, rounded
from galago.checkpoints.tensors import Float
from galago.clip.mobileclip import MobileCLIP
from galago.train.nano.data.captions import load_synonyms
from galago.train.nano.data.words import phrase
from galago.train.nano.doubt import fit
from galago.train.nano.doubt.measure import Measured
from galago.train.nano.doubt.pictures import halved
from galago.train.nano.doubt.report import SHARES, TARGET, Curve

KEEP = 64  # directions of the texts
# As people ask; what is measured with is not what was fitted with.
FITTED = ("{}", "a {}", "a photo of a {}", "a red {}", "{} on a table")
TRIED = ("{}", "my {}", "a small {}", "a picture of an old {}", "the {} in the garden")


def calibrate_words(
    clip: MobileCLIP,
    taught: Taught,
    measured: Measured,
    labels: Sequence[str],
    words: Mapping[str, Sequence[str]],
    held_out: Sequence[str],
    seed: int,
) -> tuple[Taught, Curve]:
    """`taught` with its words, and what their doubt costs.

    `words`: names of things never taught, by source; of those in `held_out` all are measured with,
    of the others half.
    """
    labels_of = _labels_of(labels)
    names = sorted({*labels_of, *load_synonyms().kinds.values()})
    texts = [*names, *(f"a photo of {phrase(name)}." for name in names)]
    rows = clip.embed_texts(texts)
    _, _, directions = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    space = rounded("word_space", directions[:KEEP].T)
    taught = replace(taught, word_space=space, words=rounded("words", rows @ space))
    fitted: list[str] = []
    tried: dict[str, list[str]] = {}
    for source, some in words.items():
        parts = {word: "measure" if source in held_out else halved(word, seed) for word in some}
        fitted += [word for word in some if parts[word] == "fit"]
        tried[source] = [word for word in some if parts[word] == "measure"]
    nearness = taught.nearness(_embedded(clip, fitted, FITTED))
    border = float(np.float32(fit.border_at(list(nearness), TARGET)))
    taught = replace(taught, word_border=border)
    return taught, _curve(clip, taught, measured, labels_of, tried)


def _curve(
    clip: MobileCLIP,
    taught: Taught,
    measured: Measured,
    labels_of: Mapping[str, set[str]],
    tried: Mapping[str, Sequence[str]],
) -> Curve:
    odd = {
        source: taught.nearness(_embedded(clip, some, TRIED))
        for source, some in tried.items()
        if some
    }
    unknown = np.concatenate(list(odd.values()))
    held = {word: set(some) for word, some in load_synonyms().held_out.items()}
    tasks = {}
    near: dict[str, tuple[list[float], list[float]]] = {}
    for title, asked in (("taught", labels_of), ("never in a caption", held)):
        right, wrong = near[title] = _by_first(clip, taught, measured, asked)
        tasks[title] = (
            _doubted(taught, right),
            len(right),
            _doubted(taught, wrong),
            len(wrong),
        )
    right, wrong = near["taught"]
    return Curve(
        "search",
        len(unknown),
        len(right),
        len(wrong),
        fit.point_at(taught.word_border, list(unknown), right),
        _doubted(taught, wrong),
        fit.curve(list(unknown), right, SHARES),
        (),
        {name: (1 - _doubted(taught, list(some)), len(some)) for name, some in odd.items()},
        tasks,
    )


def _by_first(
    clip: MobileCLIP, taught: Taught, measured: Measured, asked: Mapping[str, set[str]]
) -> tuple[list[float], list[float]]:
    """How near queries are that find a right photograph first, and those that don't.

    Of the photographs held out; what none of them shows isn't asked for.
    """
    places = [
        row
        for row, one in enumerate(measured.pictures)
        if one.kind == "object" and one.part in ("fit", "measure")
    ]
    truths = [measured.pictures[row].truth for row in places]
    there = set(truths)
    words = [word for word, labels in asked.items() if labels & there]
    right: list[float] = []
    wrong: list[float] = []
    for form in TRIED:
        rows = _embedded(clip, words, [form])
        first = np.argmax(rows @ measured.features[places].T, axis=1)
        for word, place, near in zip(words, first, taught.nearness(rows), strict=True):
            (right if truths[place] in asked[word] else wrong).append(float(near))
    return right, wrong


def _labels_of(labels: Sequence[str]) -> dict[str, set[str]]:
    """Each name with the labels that it may mean."""
    found: dict[str, set[str]] = defaultdict(set)
    for label in labels:
        for name in load_synonyms().of(label):
            found[name].add(label)
    return found


def _embedded(clip: MobileCLIP, words: Sequence[str], forms: Sequence[str]) -> Float:
    return clip.embed_texts(list(_put(words, forms)))


def _put(words: Sequence[str], forms: Sequence[str]) -> Iterator[str]:
    for form in forms:
        yield from (form.replace("{}", word) for word in words)


def _doubted(taught: Taught, near: Sequence[float]) -> float:
    return fit.point_at(taught.word_border, (), near).doubted
