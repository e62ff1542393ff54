"""How large a picture may be, in pixels and in memory: asked before it is decoded."""

from __future__ import annotations

import math
import os

from galago.errors import ImageError, OptionError

__all__ = ["MAX_PIXELS", "SETTING", "affordable", "check_size", "icc_wanted", "limit", "too_large"]

# Named in what is said of a picture whenever a higher limit would let it in.
SETTING = "GALAGO_MAX_MEGAPIXELS"
MAX_PIXELS = 100_000_000  # that are decoded; larger is a mistake or an attack
_LONGEST = 1_000_000  # of an edge
# Memory of one picture while it is opened: at 100 megapixels a decoded RGB picture (Pillow holds
# four bytes a pixel) beside the one that is made of it, and a little: 1 GB.
_BYTES_A_PIXEL = 10
# Decoded at an eighth, a JPEG of 500 megapixels takes two seconds.
_REDUCIBLE = 5


def limit() -> int:
    """The most pixels that are decoded: MAX_PIXELS, or what GALAGO_MAX_MEGAPIXELS says."""
    text = os.environ.get(SETTING, "").strip()
    if not text:
        return MAX_PIXELS
    try:
        millions = float(text)
    except ValueError:
        millions = math.nan
    if not 0 < millions <= 10_000:
        raise OptionError(f"{SETTING} is {text!r}; give a number from 1 to 10000")
    return int(millions * 1_000_000)


def icc_wanted(icc: bool | None) -> bool:
    """Whether colour profiles are applied: as the caller says, else unless GALAGO_ICC is 0."""
    return os.environ.get("GALAGO_ICC", "") != "0" if icc is None else icc


def too_large(label: str) -> str:
    most = f"{limit() / 1e6:g}"
    return f"{label} is larger than {most} megapixels; make it smaller, or set {SETTING}"


def check_size(size: tuple[int, int], label: str, *, reducible: bool = False) -> None:
    """ImageError for a picture without pixels or with too many; `reducible` ones may have more."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{label} has no pixels ({width}x{height})")
    if max(size) > _LONGEST:
        raise ImageError(f"{label} ({width}x{height}) is longer than any picture; cut it up")
    if width * height > limit() * (_REDUCIBLE if reducible else 1):
        raise ImageError(too_large(f"{label} ({width}x{height})"))


def affordable(need: float, label: str) -> None:
    """ImageError when opening a picture would take more than the budget of `need` bytes."""
    if need > limit() * _BYTES_A_PIXEL:
        raise ImageError(
            f"{label} would take {need / 1e9:.1f} GB of memory to open; make it smaller, "
            f"save it as JPEG or PNG, or raise {SETTING}"
        )
