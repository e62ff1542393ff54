"""`galago describe` of videos, alone and among pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.captions import records
from tests.helpers.commandline import run
from tests.helpers.videos import write_unknown

pytest.importorskip("av", reason="the extra `video` is not installed")

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


def test_a_caption_for_each_scene(capsys: Capture, ready: Path, clip: Path) -> None:
    result = run(capsys, "describe", clip, "-m", ready, *SHORT)
    assert result.code == 0 and result.told == []
    assert result.err.splitlines()[1].startswith("0:03.0-0:06.0: the answer was cut at 4 tokens")
    for times in ("0:00.0-0:03.0  ", "0:03.0-0:06.0  ", "0:06.0-0:09.0  "):
        assert result.out.count(times) == 1


def test_videos_among_pictures(
    capsys: Capture, ready: Path, clip: Path, picture: Path, tmp_path: Path
) -> None:
    shutil.copy(clip, tmp_path / "b.mp4")
    shutil.copy(picture, tmp_path / "a.jpg")
    shutil.copy(picture, tmp_path / "c.jpg")
    every = run(capsys, "describe", f"{tmp_path}/*", "-m", ready, *SHORT, "--json")
    found = records(every.out)
    assert [Path(str(r["picture"])).name for r in found] == ["a.jpg", *["b.mp4"] * 3, "c.jpg"]
    assert [r.get("start") for r in found] == [None, 0.0, 3.0, 6.0, None]
    assert all(float(str(r["start"])) <= float(str(r["frame"])) for r in found[1:4])
    named = run(capsys, "describe", tmp_path / "a.jpg", tmp_path / "b.mp4", "-m", ready, *SHORT)
    assert f"{tmp_path}/b.mp4 0:03.0-0:06.0: " in named.out
    folder = run(capsys, "describe", tmp_path, "-m", ready, *SHORT, "--json")
    assert len(records(folder.out)) == 2, "a folder's videos are left out"


def test_bad_videos_among_pictures(
    capsys: Capture, ready: Path, half: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("hello")
    many = run(capsys, "describe", half, tmp_path / "bad.mp4", picture, "-m", ready, *SHORT)
    assert many.code == 1 and "2 of 3" in many.err and "0:00.0-0:03.0" in many.out
    lone = run(capsys, "describe", half, "-m", ready, *SHORT)
    assert lone.code == 1 and "cut short" in lone.line and "0:00.0-0:03.0" in lone.out


def test_a_video_in_an_unknown_format_stops_no_others(
    capsys: Capture, ready: Path, picture: Path, tmp_path: Path
) -> None:
    odd = write_unknown(tmp_path / "odd.mkv")
    many = run(capsys, "describe", odd, picture, "-m", ready, *SHORT)
    assert many.code == 1 and "can't decode" in many.err and f"{picture}: " in many.out
    assert "odd.mkv" in run(capsys, "watch", odd, "-m", "apple/FastVLM-7B").line


def test_describe_of_no_video(capsys: Capture, ready: Path) -> None:
    result = run(capsys, "describe", "none.mp4", "-m", ready)
    assert result.code == 2 and "no such video: none.mp4" in result.line
