"""Synthetic captions: labels, their synonyms and kinds, put into templates.

MobileCLIP's paper (arXiv 2311.17049) writes captions with CoCa; a caption made of a label says
less, but needs no model. Words in `held_out` never stand in a caption, so that what the space makes
of them shows what it learned from the sentence teacher alone.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from galago.text.templates import TEMPLATES
from galago.train.nano.config import CONFIGS
from galago.train.nano.data.words import phrase

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLAIN = ("{}", "a {}", "the {}", "one {}", "a photo of a {}.", "a picture of a {}.", "a {} here")
KIND = ("a photo of a {}, a kind of {kind}", "{kind}: {}", "a {}, some {kind}")


@dataclass(frozen=True)
class Synonyms:
    """configs/synonyms.toml: other names and kinds of labels, and words that are held out."""

    names: Mapping[str, Sequence[str]]
    kinds: Mapping[str, str]  # by label
    held_out: Mapping[str, Sequence[str]]  # word -> labels that a right picture may have

    def of(self, label: str) -> list[str]:
        """The label and its other names."""
        return [label, *self.names.get(label, ())]


@cache
def load_synonyms() -> Synonyms:
    path = CONFIGS / "synonyms.toml"
    raw = tomllib.loads(path.read_text("utf-8"))
    kinds = {label: kind for kind, labels in raw["kinds"].items() for label in labels}
    return Synonyms(raw["names"], kinds, raw["held_out"])


def captions(label: str, synonyms: Synonyms, count: int, seed: int) -> list[str]:
    """`count` captions of a label, the plain ones first; the same for the same seed."""
    rng = random.Random(f"{seed}-{label}")
    names = synonyms.of(label)
    kind = synonyms.kinds.get(label)
    found = [f"a photo of {phrase(label)}.", label]
    while len(found) < count:
        name, chance = rng.choice(names), rng.random()
        if kind and chance < 0.15:
            found.append(rng.choice(KIND).replace("{kind}", kind).replace("{}", name))
        elif kind and chance < 0.2:
            found.append(rng.choice(PLAIN).replace("{}", kind))
        elif chance < 0.6:
            found.append(rng.choice(PLAIN).replace("{}", name))
        else:
            found.append(rng.choice(TEMPLATES["imagenet"]).replace("{}", name))
    return found


def holds_out(caption: str) -> bool:
    """Whether a caption holds one of the words that are held out, in the singular or plural."""
    words = f" {re.sub('[^a-z]+', ' ', caption.lower())} "
    return any(f" {word} " in words or f" {word}s " in words for word in load_synonyms().held_out)
