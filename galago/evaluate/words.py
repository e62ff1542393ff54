"""Answers brought to one form before they are compared, as the papers of VQA state it.

https://visualqa.org/evaluation.html: lower case; no full stops but in decimals; number words as
digits; no articles; a contraction that lacks its apostrophe gets it; any other punctuation but
apostrophes and colons becomes a blank, a comma between digits nothing.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalised"]

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}
_NEGATED = (
    "ain aren can couldn didn doesn don hadn hasn haven isn mightn mustn needn shouldn wasn weren "
    "won wouldn"
)
_OTHERS = (
    "i'm i've you're you've you'd you'll he's she's that's there's they're they've they'd they'll "
    "we've what's when's where's who's how's it'd it'll could've might've must've should've "
    "would've let's somebody's someone's something's y'all"
)
# Without those that are words of their own when the apostrophe is away: its, were, well, ill.
_CONTRACTIONS = {f"{word}t": f"{word}'t" for word in _NEGATED.split()} | {
    word.replace("'", ""): word for word in _OTHERS.split()
}
_APOSTROPHES = str.maketrans("’‘`´", "''''")
_COMMA = re.compile(r"(?<=\d),(?=\d)")
_STOP = re.compile(r"\.(?!\d)")
_KEPT = {"'", ":", "."}


def normalised(text: str) -> str:
    """A text as the papers compare it.  One of articles alone ("A") or of punctuation alone ("+")
    stays: nothing would be left to compare."""
    text = unicodedata.normalize("NFC", text).translate(_APOSTROPHES).lower()
    given = text.split()
    text = _STOP.sub("", _COMMA.sub("", text))
    plain = "".join(" " if _is_punctuation(letter) else letter for letter in text)
    words = [_DIGITS.get(word, _CONTRACTIONS.get(word, word)) for word in plain.split() or given]
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def _is_punctuation(letter: str) -> bool:
    """Of the letters of ASCII those that the papers' script names; of others Unicode's."""
    if letter in _KEPT:
        return False
    if letter.isascii():
        return letter in ';/[]"{}()=+\\_-><@,?!'
    return unicodedata.category(letter).startswith("P")
