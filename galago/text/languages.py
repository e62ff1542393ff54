"""Which writing a model of words and pictures was taught, and what is said of words in another.

MobileCLIP's captions are English (apple/ml-mobileclip: DataCompDR). Its vocabulary has a piece for
every byte, so any text becomes ids and a vector; of another script that vector means next to
nothing, and what it finds is chance. Another language in Latin letters is not told apart here:
names and loan words would be taken for it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

__all__ = ["language_note", "needs_english", "unread"]

READS = "English"


def unread(text: str) -> bool:
    """Whether more than half of its letters are of another script than Latin."""
    letters = [letter for letter in text if letter.isalpha()]
    foreign = sum("LATIN" not in unicodedata.name(letter, "") for letter in letters)
    return 2 * foreign > len(letters)


def needs_english(text: str) -> bool:
    """Whether a part of it is in another script than Latin: 红色 dress."""
    return any(letter.isalpha() and "LATIN" not in unicodedata.name(letter, "") for letter in text)


def language_note(texts: Iterable[str], model: str) -> str | None:
    """What to say when a text isn't in letters that a MobileCLIP reads; None when all are."""
    found = next((text for text in texts if unread(text)), None)
    if found is None:
        return None
    shown = found if len(found) <= 40 else f"{found[:39]}…"
    return f"{model} reads {READS} only: what it makes of “{shown}” is chance; say it in {READS}"
