"""Names of pictures that aren't there: what was probably meant, and how that is said."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from galago.errors import OptionError
from galago.places import as_path

__all__ = ["check_address", "missing", "refuse_labels", "refuse_questions"]

_ADDRESS = re.compile(r"(https?|ftps?|rtsp|rtmp|s3|gs|file|data):", re.IGNORECASE)
_LISTED = 5000  # files of a folder that are looked at for one of a similar name


def missing(name: str) -> str:
    """One line about a picture, or a video, that isn't there."""
    from galago.media.video import VIDEO_SUFFIXES

    kind = "video" if Path(name).suffix.lower() in VIDEO_SUFFIXES else "picture"
    return _of_address(name) or f"no such {kind}: {name}; {_nearest(name)}"


def check_address(name: str) -> None:
    """OptionError for an address where only a file can be."""
    told = _of_address(name)
    if told is not None:
        raise OptionError(told)


def _of_address(name: str) -> str | None:
    found = _ADDRESS.match(name)
    if found is None or os.path.exists(as_path(name)):
        return None
    kind = found[1].lower()
    if kind == "file":
        return f"{name} is an address: write it as a path, without {found[0]}//"
    if kind == "data":
        return f"a data URL is no file: save what it holds, or pipe it to `-` ({name})"
    return f"galago fetches nothing by itself: download {name} and give the file"


def _nearest(name: str) -> str:
    """The file that was probably meant."""
    path = as_path(name)
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for _, entry in zip(range(_LISTED), entries, strict=False)]
    except (OSError, ValueError):
        return "check the name"
    by_letters = {other.casefold(): other for other in names}
    typed = path.name.casefold()
    near = [other for other in by_letters if typed and other.startswith(f"{typed}.")]
    near = near or difflib.get_close_matches(typed, by_letters, 1, 0.8)
    return f"did you mean {path.parent / by_letters[near[0]]}?" if near else "check the name"


def refuse_questions(arguments: Sequence[str]) -> None:
    """OptionError when what stands among the pictures is a question, in quotes or without."""
    words = _no_files(arguments)
    if any(" " in word.strip() for word in words) or (1 < len(words) < len(arguments)):
        others = [argument for argument in arguments if argument not in words]
        asked = f"{shlex.join(others[:1]) or 'PICTURE'} -p {shlex.quote(' '.join(words))}"
        raise OptionError(
            f"{words[0]!r} is no picture; a question goes behind -p: galago describe {asked}"
        )


def refuse_labels(arguments: Sequence[str], labels: str | None) -> None:
    """OptionError when labels stand among the pictures."""
    words = _no_files(arguments)
    if words:
        others = [argument for argument in arguments if argument not in words]
        every = ",".join([*filter(None, [labels]), *words])
        asked = f"{shlex.join(others[:1]) or 'PICTURE'} --labels {shlex.quote(every)}"
        raise OptionError(
            f"{words[0]!r} is no picture; labels go behind --labels, with commas: "
            f"galago classify {asked}"
        )


def _no_files(arguments: Sequence[str]) -> list[str]:
    """What can't well be meant as a file: it isn't there, and has no suffix and no folder."""
    return [
        argument
        for argument in arguments
        if argument.strip() not in ("", "-")
        and not Path(argument.rstrip("?!. ")).suffix
        and "/" not in argument
        and os.sep not in argument
        and "*" not in argument
        and _ADDRESS.match(argument) is None
        and not os.path.exists(as_path(argument))
    ]
