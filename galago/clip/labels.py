"""Labels that pictures are sorted by: checked, put into templates, embedded once for many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from galago.checkpoints.tensors import Float
from galago.errors import OptionError
from galago.text.templates import TEMPLATES

__all__ = ["LabelSet", "listed", "named", "templates_of"]


@dataclass(frozen=True, eq=False)
class LabelSet:
    """Labels embedded once for many pictures, by `MobileCLIP.label_set`.

    `rows`: unit rows float32 (n, dim), in the order of `labels`; they are `model`'s, the one with
    this `identity`.
    """

    labels: tuple[str, ...]
    rows: Float
    model: str
    identity: str


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
