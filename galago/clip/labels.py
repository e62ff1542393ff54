"""Labels that pictures are sorted by: checked, put into templates, embedded once for many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from galago.checkpoints.tensors import Float
from galago.errors import OptionError
from galago.text.templates import TEMPLATES

__all__ = ["LabelSet", "Sorting", "listed", "named", "shares_of", "templates_of"]


@dataclass(frozen=True, eq=False)
class LabelSet:
    """Labels embedded once for many pictures, by `MobileCLIP.label_set`.

    `rows`: unit rows float32 (n, dim), in the order of `labels`; they are `model`'s, the one with
    this `identity`. `strange`: those of the labels that name nothing it was taught.
    """

    labels: tuple[str, ...]
    rows: Float
    model: str
    identity: str
    strange: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sorting:
    """How a picture fits labels.

    `shares`: zero-shot probabilities in the labels' order, which add up to 1. `known`: how probably
    the picture shows something that the model was taught, 0 to 1, and `doubted`: that this is too
    little; None and False of a model whose doubt was never measured (docs/doubt.md).
    """

    shares: tuple[float, ...]
    known: float | None = None
    doubted: bool = False


def shares_of(cosines: Float, scale: float) -> tuple[float, ...]:
    """The softmax of scaled cosines (n,), in float64."""
    logits = scale * cosines.astype(np.float64)
    shares = np.exp(logits - logits.max())
    return tuple(float(share) for share in shares / shares.sum())


def listed(texts: Iterable[str], what: str) -> list[str]:
    """The texts as a list; OptionError when they are something else."""
    found = None if isinstance(texts, str) or not isinstance(texts, Iterable) else list(texts)
    if found is None or not all(isinstance(text, str) for text in found):
        raise OptionError(f'{what} must be a list of texts, such as ["a dog"]')
    return found


def named(labels: Sequence[str]) -> list[str]:
    labels = listed(labels, "labels")
    if not labels:
        raise OptionError("name at least one label")
    return labels


def templates_of(given: Sequence[str] | str) -> Sequence[str]:
    """The templates of a name, or those given; OptionError for ones without one {}."""
    if isinstance(given, str):
        if given not in TEMPLATES:
            known = ", ".join(TEMPLATES)
            raise OptionError(f"templates {given!r} are not known: use one of {known}")
        return TEMPLATES[given]
    templates = listed(given, "templates")
    if not templates or any(template.count("{}") != 1 for template in templates):
        raise OptionError("each template needs one {} where the label goes")
    return templates
