"""Sentences that labels are put into, by name."""

from __future__ import annotations

from collections.abc import Mapping

from galago.places import DATA

__all__ = ["TEMPLATES"]

_IMAGENET = DATA / "imagenet_templates.txt"  # OpenAI CLIP's 80, MIT

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "photo": ("a photo of a {}.",),
    "plain": ("{}",),
    "imagenet": tuple(_IMAGENET.read_text("utf-8").splitlines()),
}
