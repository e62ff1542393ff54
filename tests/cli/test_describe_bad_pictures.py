"""`galago describe` of what is no picture, and of odd ones: one clear line, or an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.commandline import run
from tests.helpers.pictures import png_header, saved

Capture = pytest.CaptureFixture[str]


def _half(kind: str) -> bytes:
    data = saved(Image.effect_noise((300, 200), 90).convert("RGB"), kind)
    return data[: len(data) // 2]


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty file": ("a.jpg", lambda: b"", "empty"),
    "text named .jpg": ("a.jpg", lambda: b"Dear diary,\n", "not a picture"),
    "truncated JPEG": ("a.jpg", lambda: _half("JPEG"), "damaged|cut off|truncated|broken"),
    "truncated PNG": ("a.png", lambda: _half("PNG"), "damaged|cut off|truncated|broken"),
    "truncated WebP": ("a.webp", lambda: _half("WEBP"), "damaged|cut off|truncated|broken"),
    "decompression bomb": ("a.png", lambda: png_header(100_000, 100_000), "megapixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures(capsys: Capture, ready: Path, tmp_path: Path, case: str) -> None:
    name, make, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(make())
    result = run(capsys, "describe", path, "-m", ready)
    assert result.code == 2 and result.out == "" and name in result.line
    assert any(word in result.line for word in said.split("|")), result.line


def test_missing_picture_is_said_before_the_model_loads(capsys: Capture) -> None:
    result = run(capsys, "describe", "none.jpg", "-m", "apple/FastVLM-7B")
    assert result.code == 2 and "no such picture: none.jpg" in result.line


def test_folder_without_pictures(capsys: Capture, ready: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    result = run(capsys, "describe", tmp_path, "-m", ready)
    assert result.code == 2 and "no picture" in result.line and "--recursive" in result.line


def _odd_pictures() -> dict[str, bytes]:
    noise = Image.effect_noise((60, 40), 90)
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [Image.new("P", (40, 30), color) for color in (1, 2, 3)]

    clear = Image.new("P", (40, 30), 0)
    return {
        "one pixel.png": saved(Image.new("RGB", (1, 1)), "PNG"),
        "20000x3.png": saved(Image.new("L", (20000, 3), 200), "PNG"),
        "cmyk.jpg": saved(noise.convert("CMYK"), "JPEG"),
        "16 bit.png": saved(Image.new("I;16", (40, 30), 40_000), "PNG"),
        "palette.png": saved(clear, "PNG", transparency=0),
        "frames.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "turned.jpg": saved(noise.convert("RGB"), "JPEG", exif=turned),
    }


def test_odd_pictures_are_answered(capsys: Capture, ready: Path, tmp_path: Path) -> None:
    pictures = _odd_pictures()
    for name, data in pictures.items():
        (tmp_path / name).write_bytes(data)
    result = run(capsys, "describe", tmp_path, "-m", ready, "--max-tokens", "1", "--json")
    assert result.code == 0 and result.err == ""
    records = [json.loads(line) for line in result.out.splitlines()]
    assert {Path(r["picture"]).name for r in records} == set(pictures)
    assert all("error" not in record for record in records)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "x" * 5000])
def test_names_no_system_takes(capsys: Capture, name: str) -> None:
    for verb in ("describe", "chat"):
        result = run(capsys, verb, name)
        assert result.code == 2 and "no such picture" in result.line
    result = run(capsys, "pull", name)
    assert result.code == 2 and ("no folder" in result.line or "no model" in result.line)


def test_a_closed_stdin_is_an_empty_picture(
    capsys: Capture, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    result = run(capsys, "describe", "-", "-m", ready)
    assert result.code == 2 and "empty" in result.line
