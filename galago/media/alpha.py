"""Transparency -> a background behind it, on which what there is can be seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from PIL import Image

from galago.media.strips import strips

__all__ = ["opaque"]

_Box = tuple[int, int, int, int]
_Colour = tuple[int, int, int, int]
_WHITE, _BLACK = (255, 255, 255, 255), (0, 0, 0, 255)
_SEEN = 48  # levels between the darkest and the brightest; with fewer, another background is tried
_FAINT = 16  # levels of alpha below which all is as good as invisible
# Kinds in which the fourth byte often is nothing but zeros.
_UNUSED = frozenset({"BMP", "DIB", "ICO", "TGA", "SGI", "PSD"})


def opaque(image: Image.Image, kind: str | None) -> Image.Image:
    """RGB of an RGBA picture, on white; on black where white would hide it (a white logo).

    An alpha of 0, or nearly, everywhere is no alpha, if there is more to be seen without it;
    `kind` is Pillow's name of the format.
    """
    least, most = _range(image.getchannel("A"))
    if least == 255:
        return image.convert("RGB")
    # With an alpha up to N the pixels differ by N levels at most, on any background.
    if most < _FAINT and (_spread(image) > most or (kind in _UNUSED and least == most)):
        return image.convert("RGB")
    if most == 0:
        return Image.new("RGB", image.size, "white")
    out = Image.new("RGB", image.size)
    for box, piece in _on(image, _WHITE):
        out.paste(piece, box)
    seen = _spread(out)
    if seen < _SEEN and seen < _widest(piece.getextrema() for _, piece in _on(image, _BLACK)):
        for box, piece in _on(image, _BLACK):
            out.paste(piece, box)
    return out


def _on(image: Image.Image, colour: _Colour) -> Iterator[tuple[_Box, Image.Image]]:
    for box in strips(image):
        piece = image.crop(box)
        below = Image.new("RGBA", piece.size, colour)
        yield box, Image.alpha_composite(below, piece).convert("RGB")


def _range(band: Image.Image) -> tuple[int, int]:
    found: Any = band.getextrema()
    return int(found[0]), int(found[1])


def _spread(image: Image.Image) -> int:
    return _widest([image.getextrema()])


def _widest(pieces: Iterable[Any]) -> int:
    """The widest range of levels of any colour, in all pieces together."""
    ranges = list(pieces)
    return max(int(max(r[n][1] for r in ranges) - min(r[n][0] for r in ranges)) for n in range(3))
