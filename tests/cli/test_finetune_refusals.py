"""`galago finetune` before anything is learnt: what can be mended is a line (needs no torch)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.checkpoints import tiny_llava
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("cup", "jug"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "data" / name / "1.png")
    return tmp_path / "data"


def refused(capsys: Capture, tmp_path: Path, data: Path, *more: str) -> str:
    """What is told; nothing is left behind."""
    base = tiny_llava(tmp_path / "base")
    before = sorted(tmp_path.iterdir())
    ran = run(capsys, "finetune", base, tmp_path / "out", "--data", data, *more)
    assert ran.code == 2 and ran.line
    assert sorted(tmp_path.iterdir()) == before
    return ran.err


def test_without_torch_a_line_installs_what_it_needs_and_no_more(
    tmp_path: Path, data: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def lacking(name: str, *rest: Any) -> Any:
        return None if name in ("torch", "peft") else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    told = refused(capsys, tmp_path, data).strip().splitlines()[-1]
    assert "this needs torch, " in told and "peft" in told
    assert "to install the extra finetune: " in told
    assert "wordfreq" not in told  # the embedded models' trainer needs it, this doesn't


def test_data_that_isnt_there(tmp_path: Path, capsys: Capture) -> None:
    told = refused(capsys, tmp_path, tmp_path / "nowhere", "--dry-run")
    assert f"{tmp_path / 'nowhere'}" in told


def test_a_picture_of_twenty_thousand_pixels_a_side(
    tmp_path: Path, data: Path, capsys: Capture
) -> None:
    Image.new("1", (20_000, 20_000)).save(data / "cup" / "wall.png")
    told = refused(capsys, tmp_path, data, "--dry-run")
    assert "cup/wall.png is larger than 100 megapixels" in told and "--skip-bad" in told


def test_a_long_picture_is_no_large_one(tmp_path: Path, data: Path, capsys: Capture) -> None:
    Image.new("RGB", (20_000, 40), (0, 90, 0)).save(data / "cup" / "fence.png")
    base = tiny_llava(tmp_path / "base")
    ran = run(capsys, "finetune", base, tmp_path / "out", "--data", data, "--dry-run")
    assert ran.code == 0 and "3 rows with 3 pictures" in ran.err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--parts", "nose"], "use projector, decoder, vision"),
        (["--adapter", "--full"], "--adapter keeps what LoRA learns"),
        (["--adapter", "--parts", "projector"], "--adapter keeps what LoRA learns"),
        (["--adapter", "--rank", "1025"], "--rank 1025 is not possible with --adapter"),
        (["--measured", "-1"], "--measured -1 is not possible: use 0 or more"),
        (["--measured", "0", "--own-shards", "."], "--own-shards is about what --measured asks"),
        (["--seed", "-1"], "--seed -1 is not possible: use 0 to 4294967295"),
        (["--preset", "stage9"], "use stage1, stage1.5, stage2, stage3"),
    ],
)
def test_options_that_are_not_possible(
    tmp_path: Path, data: Path, capsys: Capture, more: list[str], told: str
) -> None:
    assert told in refused(capsys, tmp_path, data, "--dry-run", *more)
