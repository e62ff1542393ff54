"""Lengths of time as people type and read them: 90s, 45m, 1h, 7d."""

from __future__ import annotations

import re

from galago.errors import OptionError

__all__ = ["length_of", "length_told"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST = 100 * 366 * 86_400.0


def length_of(option: str, text: str) -> float:
    """The seconds of such a length; OptionError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *([smhd])", text.strip().lower(), re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 1 <= seconds <= _LONGEST:
        raise OptionError(f"{option} {text!r} is no length of time; write 90s, 45m, 1h or 7d")
    return seconds


def length_told(seconds: float) -> str:
    """The same for people, in the largest unit that has no rest."""
    for unit in ("d", "h", "m"):
        if seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    return f"{seconds:.0f}s"
