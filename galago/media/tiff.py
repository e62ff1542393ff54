"""What the numbers of a TIFF mean, and the TIFFs that Pillow can't read or would read wrongly."""

from __future__ import annotations

from typing import IO, Any

from PIL import TiffImagePlugin

from galago.media.depth import Meaning

__all__ = ["is_tiff", "meaning_of", "misread", "named"]

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 258, 259, 262, 277
_MAX_VALUE, _PLANES, _FORMAT = 281, 284, 339
_KINDS = {1: "numbers", 2: "numbers with a sign", 3: "floats", 5: "complex", 6: "complex floats"}


def is_tiff(head: bytes) -> bool:
    return head[:4] in TiffImagePlugin.PREFIXES


def meaning_of(tags: Any) -> Meaning:
    """From a page's tags: what holds a number, whether 0 is white and numbers have a sign."""
    bits = _first(tags, _BITS, 1)
    signed = _first(tags, _FORMAT, 1) == 2
    top = tags.get(_MAX_VALUE)
    top = max(top) if isinstance(top, tuple) and top else top
    if top is None and bits == 12:  # which Pillow widens to 16
        top = 4095
    return Meaning(
        top=top if isinstance(top, int) and top > 0 else None,
        bits=bits - 1 if signed else bits,
        inverted=_first(tags, _PHOTOMETRIC, 0) == 0,
        unsigned=bits == 32 and _first(tags, _FORMAT, 1) == 1,
    )


def misread(tags: Any) -> bool:
    """Whether Pillow would take the page for something that it isn't."""
    bits, samples = _first(tags, _BITS, 1), tags.get(_SAMPLES, 1)
    planar = _first(tags, _PLANES, 1) == 2 and samples > 1
    grey = _first(tags, _PHOTOMETRIC, 0) in (0, 1)
    return (
        (planar and bits > 8 and _first(tags, _COMPRESSION, 1) == 1)
        or (bits == 8 and _first(tags, _FORMAT, 1) == 2)
        or (grey and samples > 2)
    )


def named(stream: IO[bytes]) -> str | None:
    """What kind of TIFF this is, in words; None when not even that can be read."""
    try:
        stream.seek(0)
        head = stream.read(8)
        head += stream.read(8) if head[2] == 43 else b""  # a BigTIFF
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        stream.seek(tags.next)
        tags.load(stream)
        return in_words(tags) if _BITS in tags else None
    except Exception:  # anything: the file is damaged
        return None


def in_words(tags: Any) -> str:
    bits, samples = _first(tags, _BITS, 1), tags.get(_SAMPLES, 1)
    kind = _KINDS.get(_first(tags, _FORMAT, 1), "values")
    words = f"a TIFF of {bits}-bit {kind}"
    if samples > 1:
        words += f" in {samples} bands"
        if _first(tags, _PLANES, 1) == 2:
            words += ", each apart"
    if _first(tags, _PHOTOMETRIC, 0) == 0:
        words += ", 0 being white"
    return words


def _first(tags: Any, tag: int, otherwise: int) -> int:
    value = tags.get(tag, otherwise)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else otherwise
