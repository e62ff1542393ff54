"""`galago reinforce` before anything is computed, and what it tells (needs no torch)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
TEACHER = ("--teacher", "galago:mobileclip2-nano")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("cup", "jug"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "data" / name / "1.png")
    return tmp_path / "data"


@pytest.mark.parametrize(
    "more, told",
    [
        (("--scales", "70,x"), "--scales '70,x' is not possible"),
        ((*TEACHER, "--scales", "70"), "--scales names 1 numbers for 2 teachers"),
        (("--share", "3/2"), "--share '3/2' is not possible: use 1/4"),
        (("--share", "2/2"), "there are 1 shards, none is left for it"),
        (("--share", "1/1", "--ray", "local"), "--ray and --share exclude each other"),
        (("--ray", "127.0.0.1:port"), "give local, auto, HOST:PORT"),
        (("--augmentations", "0"), "--augmentations 0 is not possible"),
        (("--processes", "0"), "--rows and --processes are 1 or more"),
        (("--dtype", "int8"), "--dtype 'int8' is not possible"),
    ],
)
def test_options_that_cant_be_are_a_line(
    data: Path, tmp_path: Path, capsys: Capture, more: tuple[str, ...], told: str
) -> None:
    ran = run(capsys, "reinforce", data, tmp_path / "out", *TEACHER, *more)
    assert ran.code == 2 and told in ran.line
    assert not (tmp_path / "out").exists()


def test_without_open_clip_a_line_installs_it(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def lacking(name: str, *rest: Any) -> Any:
        return None if name in ("torch", "open_clip") else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    out = tmp_path / "out"
    ran = run(capsys, "reinforce", data, out, "--teacher", "open_clip:ViT-B-32:openai")
    assert ran.code == 2 and "need open_clip, torch; to install the extra train-clip: " in ran.line


def test_a_place_that_isnt_there(tmp_path: Path, capsys: Capture) -> None:
    ran = run(capsys, "reinforce", tmp_path / "nowhere", tmp_path / "out", *TEACHER)
    assert ran.code == 2 and f"{tmp_path / 'nowhere'}" in ran.line


@pytest.mark.slow
def test_a_teacher_that_isnt_known(data: Path, tmp_path: Path, capsys: Capture) -> None:
    ran = run(capsys, "reinforce", data, tmp_path / "out", "--teacher", "somebody")
    assert ran.code == 2 and "teacher 'somebody' is not known: use open_clip:" in ran.line
    assert not [*(tmp_path / "out").glob("*.tar")]


@pytest.mark.slow
@pytest.mark.model
def test_the_figures_are_told(data: Path, tmp_path: Path, capsys: Capture) -> None:
    (data / "cup" / "2.jpg").write_bytes(b"\xff\xd8\xffnothing")
    args = (data, tmp_path / "out", *TEACHER, "--augmentations", "1", "--processes", "1")
    ran = run(capsys, "reinforce", *args, "--json")
    told = json.loads(ran.out)
    assert ran.code == 1  # some of many
    assert (told["made"], told["found"], told["rows"], told["failed"]) == (1, 0, 2, [])
    assert [one["where"] for one in told["left_out"]] == ["cup/2.jpg"]
    assert "1 shards made, 0 were there: 2 rows, 1 pictures left out" in ran.err
    again = run(capsys, "reinforce", *args)
    assert "0 shards made, 1 were there" in again.err and again.out.strip() == str(args[1])
    (data / "cup" / "2.jpg").unlink()
    other = run(capsys, "reinforce", *args)  # rows go by their numbers, which are others now
    assert other.code == 2 and "count 3, rows 1000, and now it is of data, count 2" in other.line
