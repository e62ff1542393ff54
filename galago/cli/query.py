"""What a person asks of an album: words and pictures, how much each counts, what is left out."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from galago.cli.missing import missing
from galago.errors import ImageError, OptionError

__all__ = ["Asked", "asked_for", "check_words"]

# "2:dog", "0.5:beach"; 16:9 and 4:20 are words, as what follows is no letter.
_WEIGHED = re.compile(r"([-+]?\d+(?:[.,]\d+)?)[:：](?=[^\W\d_])(.+)", re.DOTALL)
_WEIGHED_FILE = re.compile(r"([-+]?\d+(?:[.,]\d+)?)[:：](.+)", re.DOTALL)
_MOST = 1000.0


@dataclass(frozen=True)
class Asked:
    """One part of the query: words, or a picture's path, and how much it counts."""

    text: str
    picture: bool
    wanted: bool = True
    weight: float = 1.0


def check_words(words: Sequence[str]) -> None:
    """OptionError for files where words are: what photos show is searched, not their names."""
    from galago.media.images import PICTURE_SUFFIXES

    for word in words:
        path = os.path.expanduser(word)
        if os.path.splitext(word)[1].lower() in PICTURE_SUFFIXES:
            raise OptionError(
                f"{word} is no word for what photos show; to find photos like that picture: "
                f"galago search --image {shlex.quote(word)}"
            )
        if os.sep in word and os.path.isdir(path):
            raise OptionError(
                f"{word} is a folder; galago index {shlex.quote(word)} makes it searchable, "
                f"--in {shlex.quote(word)} searches in it alone"
            )


def asked_for(
    words: Sequence[str], images: Sequence[str], plus: Sequence[str], minus: Sequence[str]
) -> list[Asked]:
    """The parts of the query; OptionError for one that asks for nothing.

    Words without a weight are one part, in their order.
    """
    plain, asked = list[str](), list[Asked]()
    for word in words:
        text, weight = _weighed(word)
        if weight is None:
            plain.append(text)
        else:
            asked.append(Asked(text, False, weight=weight))
    if (joined := " ".join(plain)).strip():
        asked.insert(0, Asked(joined, picture=False))
    for path in images:
        text, weight = _weighed(path)
        if not os.path.exists(os.path.expanduser(text)):  # before a model is fetched for it
            raise ImageError(missing(text))
        asked.append(Asked(text, True, weight=1.0 if weight is None else weight))
    for wanted, values in ((True, plus), (False, minus)):
        for value in values:
            text, weight = _weighed(value)
            if not text.strip():
                raise OptionError(
                    f"--{'plus' if wanted else 'minus'} is empty: give words or a file"
                )
            asked.append(Asked(text, _is_picture(text), wanted, 1.0 if weight is None else weight))
    return asked


def _weighed(value: str) -> tuple[str, float | None]:
    """What is asked for, and its weight where one stands before it; a file's name is a name."""
    found = _WEIGHED.fullmatch(value)
    if found is None:
        named = _WEIGHED_FILE.fullmatch(value)
        if named is not None and os.path.isfile(os.path.expanduser(named[2])):
            found = named
    if found is None or os.path.exists(os.path.expanduser(value)):
        return value, None
    weight, text = float(found[1].replace(",", ".")), found[2]
    if weight < 0:
        raise OptionError(
            f"{value}: a weight can't be negative; what is rather not wanted: "
            f"--minus {shlex.quote(text)}"
        )
    if not 0 < weight <= _MOST:
        raise OptionError(f"{value}: a weight is more than 0, and {_MOST:.0f} at most")
    return text, weight


def _is_picture(value: str) -> bool:
    """Whether a file is meant; ImageError for what can only be the name of one."""
    from galago.media.images import PICTURE_SUFFIXES

    if os.path.isfile(os.path.expanduser(value)):
        return True
    if os.path.splitext(value)[1].lower() in PICTURE_SUFFIXES:
        raise ImageError(missing(value))
    return False
