"""Pictures in terminals: which can show them, and that what they are sent is the picture."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from galago.cli import preview
from galago.errors import OptionError
from galago.media.pool import PicturePool
from tests.helpers.albums import photo
from tests.helpers.commandline import run

COLOURS = [(250, 20, 20), (20, 240, 30), (30, 30, 250)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"LC_TERMINAL": "iTerm2", "TERM": "xterm-256color"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "screen.xterm-kitty", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, None),
        ({}, None),
        ({"GALAGO_PREVIEW": "Sixel", "TERM": "xterm"}, "sixel"),
    ],
)
def test_the_environment_says_what_a_terminal_shows(
    environment: dict[str, str], way: str | None
) -> None:
    assert preview.drawing(None, environment) == way
    assert preview.drawing(False, environment) is None
    if way is None:
        with pytest.raises(OptionError, match="GALAGO_PREVIEW=kitty"):
            preview.drawing(True, environment)


@pytest.mark.usefixtures("terminal")
def test_an_unknown_way_is_told() -> None:
    with pytest.raises(OptionError, match="kitty, iterm or sixel"):
        preview.drawing(None, {"GALAGO_PREVIEW": "postcard"})


def test_without_a_terminal_there_are_none() -> None:
    assert preview.drawing(None, {"TERM": "xterm-kitty"}) is None


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """Three upright stripes, twice as wide as high."""
    pixels = np.repeat(np.array(COLOURS, np.uint8), 100, axis=0)[None].repeat(150, axis=0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def stripes(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture is the striped one."""
    height, width = pixels.shape[:2]
    seen = pixels[height // 2, [width // 6, width // 2, 5 * width // 6]].astype(int)
    return abs(width / height - 2) < 0.05 and np.abs(seen - COLOURS).max() < 12


def test_what_is_sent_is_the_picture(striped: Path) -> None:
    with PicturePool(1) as pool:
        sent = {way: preview.drawn(way, str(striped), pool) for way in ("kitty", "iterm", "sixel")}
        assert preview.drawn("kitty", str(striped.with_name("gone.png")), pool) == ""
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sent["kitty"])
    assert all(len(piece) <= 4096 for _, piece in pieces)
    assert [head[-1] for head, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    assert pieces[0][0].startswith("a=T,f=100,r=8,q=2,")
    assert stripes(of_png("".join(piece for _, piece in pieces)))
    inline = re.fullmatch(r"\x1b\]1337;File=inline=1;height=8;[^:]*:([^\a]*)\a\n", sent["iterm"])
    assert inline and stripes(of_png(inline[1]))
    assert stripes(of_sixel(sent["sixel"]))


def of_png(data: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(b64decode(data))).convert("RGB"))


def of_sixel(codes: str) -> NDArray[np.uint8]:
    """As a terminal draws it."""
    head = re.match(r'\x1bPq"1;1;(\d+);(\d+)', codes)
    assert head and codes.endswith("\x1b\\\n")
    width, height = int(head[1]), int(head[2])
    drawn, palette = np.zeros((height + 6, width, 3), np.uint8), dict[int, list[int]]()
    x = y = colour = 0
    for one in re.finditer(
        r"#(\d+)(;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|([?-~])|([$-])", codes[head.end() : -3]
    ):
        if one[1] and one[2]:
            palette[int(one[1])] = [round(int(part) * 2.55) for part in one.groups()[2:5]]
        elif one[1]:
            colour = int(one[1])
        elif one[9]:
            x, y = 0, y + 6 * (one[9] == "-")
        else:
            bits, count = ord(one[7] or one[8]) - 63, int(one[6] or 1)
            for row in range(6):
                if bits >> row & 1:
                    drawn[y + row, x : x + count] = palette[colour]
            x += count
    return drawn[:height]


@pytest.mark.usefixtures("models")
def test_a_search_shows_them_below_their_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "p" / "a.png")
    run(capsys, "index", tmp_path / "p")
    monkeypatch.setattr("galago.cli.hits.check_output", lambda output: "kitty")
    monkeypatch.setattr("galago.cli.search.check_output", lambda output: "kitty")
    out = run(capsys, "search", "--in", tmp_path / "p").out
    line, rest = out.split("\n", 1)
    assert str(tmp_path / "p" / "a.png") in line and rest.startswith("\x1b_Ga=T")
