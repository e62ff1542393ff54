"""What was meant by names of pictures that aren't there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which has one picture."""
    shutil.copy(picture, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["describe", "photo.jpg", "what is this?"], "describe photo.jpg -p 'what is this?'"),
        (["describe", "what is this?"], "describe PICTURE -p 'what is this?'"),
        (["describe", "photo.jpg", "what", "is", "it"], "describe photo.jpg -p 'what is it'"),
        (["classify", "photo.jpg", "cat", "dog"], "classify photo.jpg --labels cat,dog"),
        (
            ["classify", "photo.jpg", "-l", "cat", "dog"],
            "galago classify photo.jpg --labels cat,dog",
        ),
        (["watch", "1"], "--camera 1"),
        (["watch", "webcam"], "--camera 0"),
        (["classify", "photo.jpg"], "there are no labels"),
        (["search", "photo.jpg"], "galago search --image photo.jpg"),
        (["search", "none.png"], "galago search --image none.png"),
        (["search", "./", "dog"], "galago index ./ makes it searchable"),
        (["describe", "https://a.b/c.jpg"], "fetches nothing by itself: download https://a.b/c"),
        (["describe", "https://a.b/c.mp4"], "fetches nothing by itself: download https://a.b/c"),
        (["chat", "http://a.b/c.jpg"], "fetches nothing by itself"),
        (["watch", "rtsp://a.b/c"], "fetches nothing by itself"),
        (["classify", "HTTPS://a.b/c", "--labels", "a,b"], "fetches nothing by itself"),
        (["search", "--image", "https://a.b/c.jpg"], "fetches nothing by itself"),
        (["describe", "file:///tmp/none.jpg"], "without file://"),
        (["describe", "data:image/png;base64,AAAA"], "a data URL is no file"),
        (["describe", "phto.jpg"], "did you mean photo.jpg?"),
        (["describe", "PHOTO.JPG"], "did you mean photo.jpg?"),
        (["describe", "photo"], "did you mean photo.jpg?"),
        (["describe", "other.png"], "no such picture: other.png; check the name"),
        (["describe", "nowhere/other.png"], "check the name"),
        (["describe", ""], "is empty"),
        (["describe", "a\0b.jpg"], "no such picture"),
    ],
)
def test_what_was_meant_is_told(
    capsys: Capture, here: Path, models: object, line: list[str], told: str
) -> None:
    result = run(capsys, *line)
    assert result.code == 2 and told in result.line and not result.out


def test_of_many_only_the_missing_one_is_told(capsys: Capture, here: Path, ready: Path) -> None:
    shown = run(capsys, "describe", "photo.jpg", "https://a.b/c.jpg", "scan", "-m", ready)
    assert shown.code == 1 and shown.out.startswith("photo.jpg: ")
    assert "download https://a.b/c.jpg" in shown.err and "no such picture: scan" in shown.err


def test_a_file_of_an_odd_name_is_a_file(capsys: Capture, here: Path, ready: Path) -> None:
    for name in ("what is this?", "data:x", "https:x", "cat"):
        shutil.copy(here / "photo.jpg", here / name)
        assert run(capsys, "describe", name, "-m", ready, "--max-tokens", "1").code == 0
