"""Pictures in the terminal itself, where it can show them: Kitty's way, iTerm2's, or Sixel.

What the terminal can do is told by its environment alone: asking it would mean to wait for an
answer that many never give, and to swallow what is typed meanwhile.  (The libraries that draw
pictures in terminals ask when they are imported, or need an older Pillow.)
"""

from __future__ import annotations

import io
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galago.errors import ImageError, OptionError
from galago.specs import ImageSpec

if TYPE_CHECKING:
    from galago.media.pool import PicturePool

__all__ = ["SETTING", "Show", "drawing", "drawn", "drawn_pixels"]

SETTING = "GALAGO_PREVIEW"  # names what a terminal speaks that isn't known by its environment

Pixels = NDArray[np.uint8]
Show = Callable[[str], None]

_ROWS = 8  # lines of text that a picture takes
_CELL = 20  # pixels of a line where the system doesn't say
_SIDE = 256
_PIECE = 4096  # letters of one of Kitty's messages, at most
_SPEC = ImageSpec(_SIDE, (0.0,) * 3, (1.0,) * 3, "bicubic", "pad")

_KITTY = {"xterm-kitty", "xterm-ghostty", "ghostty"}
_ITERM = {"iTerm.app", "WezTerm", "mintty"}
_SIXEL = {"foot", "foot-extra", "mlterm", "mlterm-256color", "contour"}


def drawing(wanted: bool | None, environment: Mapping[str, str] | None = None) -> str | None:
    """What the terminal at stdout speaks: "kitty", "iterm", "sixel"; None for no pictures.

    `wanted`: None where the terminal decides.  OptionError when it can't what is wanted.
    """
    environment = os.environ if environment is None else environment
    if wanted is False:
        return None
    if not sys.stdout.isatty():
        if wanted:
            raise OptionError("--preview shows pictures in a terminal, and stdout is none")
        return None
    way = _spoken(environment)
    if way is None and wanted:
        raise OptionError(
            "this terminal isn't known to show pictures; --open shows them in the browser, or "
            f"{SETTING}=kitty, iterm or sixel says what the terminal speaks"
        )
    return way


def _spoken(environment: Mapping[str, str]) -> str | None:
    told = environment.get(SETTING, "").strip().lower()
    if told:
        if told not in _WAYS:
            raise OptionError(f"{SETTING}={told} is not known: kitty, iterm or sixel")
        return told
    names = {environment.get(name, "") for name in ("TERM", "TERM_PROGRAM")}
    if "TMUX" in environment or environment.get("TERM", "").startswith(("screen", "tmux", "dumb")):
        return None  # what comes through there depends on its settings
    if "KITTY_WINDOW_ID" in environment or names & _KITTY:
        return "kitty"
    if names & _ITERM or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "sixel" if names & _SIXEL else None


def drawn(way: str, path: str, pool: PicturePool) -> str:
    """What the terminal is sent to show a photo; empty for one that can't be opened."""
    try:
        square = pool.load_square(path, _SPEC, draft=2)
    except ImageError:
        return ""
    return drawn_pixels(way, _cropped(square.pixels, square.size))


def drawn_pixels(way: str, pixels: Pixels) -> str:
    """The same for a picture that is there: uint8 (height, width, 3)."""
    return "".join(_WAYS[way](pixels))


def _cropped(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Without what was put round a picture to make it a square."""
    width, height = (max(1, round(_SIDE * edge / max(size))) for edge in size)
    left, top = (_SIDE - width) // 2, (_SIDE - height) // 2
    return pixels[top : top + height, left : left + width]


def _png(pixels: Pixels) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return b64encode(out.getvalue()).decode("ascii")


def _kitty(pixels: Pixels) -> Iterator[str]:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/: a PNG in pieces; no answer (q=2)."""
    data = _png(pixels)
    pieces = [data[at : at + _PIECE] for at in range(0, len(data), _PIECE)]
    for number, piece in enumerate(pieces):
        first = f"a=T,f=100,r={_ROWS},q=2," if number == 0 else ""
        yield f"\x1b_G{first}m={int(number + 1 < len(pieces))};{piece}\x1b\\"
    yield "\n"


def _iterm(pixels: Pixels) -> Iterator[str]:
    """https://iterm2.com/documentation-images.html."""
    yield f"\x1b]1337;File=inline=1;height={_ROWS};preserveAspectRatio=1:{_png(pixels)}\a\n"


def _sixel(pixels: Pixels) -> Iterator[str]:
    """DEC's graphics, VT330/VT340 Programmer Reference Manual, chapter 14: bands of six lines, in
    each a run of columns for every colour."""
    from PIL import Image

    image = Image.fromarray(pixels)
    scale = _ROWS * _cell() / image.height
    image = image.resize((max(1, round(image.width * scale)), round(image.height * scale)))
    image = image.quantize(128)
    yield f'\x1bPq"1;1;{image.width};{image.height}'
    palette = np.array(image.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
    for number, colour in enumerate(palette):
        red, green, blue = (round(int(part) * 100 / 255) for part in colour)
        yield f"#{number};2;{red};{green};{blue}"
    points = np.asarray(image)
    bits = 1 << np.arange(6)
    for top in range(0, len(points), 6):
        band = points[top : top + 6]
        for colour in np.unique(band):
            columns = ((band == colour) * bits[: len(band), None]).sum(axis=0)
            yield f"#{colour}{_runs(columns)}$"
        yield "-"
    yield "\x1b\\\n"


def _runs(columns: NDArray[Any]) -> str:
    """Columns of a band, each as often as it comes one after the other."""
    ends = np.flatnonzero(np.append(np.diff(columns), 1)) + 1
    lengths = np.diff(np.append(0, ends))
    letters = [chr(63 + int(value)) for value in columns[ends - 1]]
    return "".join(
        letter * length if length < 4 else f"!{length}{letter}"
        for letter, length in zip(letters, lengths.tolist(), strict=True)
    )


def _cell() -> int:
    """Pixels of a line of text, as the system knows it."""
    try:
        import fcntl
        import struct
        import termios

        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, _, _, pixels = struct.unpack("HHHH", size)
        return pixels // rows or _CELL
    except (ImportError, OSError, ValueError, ZeroDivisionError):
        return _CELL


_WAYS: dict[str, Callable[[Pixels], Iterator[str]]] = {
    "kitty": _kitty,
    "iterm": _iterm,
    "sixel": _sixel,
}
