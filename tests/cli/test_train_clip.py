"""`galago train-clip` before anything is learnt, and what it tells."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commandline import run
from tests.helpers.places import TOP
from tests.helpers.reinforced import TINY, write_shards

Capture = pytest.CaptureFixture[str]


def test_without_torch_a_line_installs_what_it_needs(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def lacking(name: str, *rest: Any) -> Any:
        return None if name in ("torch", "webdataset") else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    ran = run(capsys, "train-clip", tmp_path, tmp_path / "out")
    assert ran.code == 2 and "webdataset" in ran.line
    assert "to install the extra train-clip: " in ran.line


def test_torchrun_hands_over_what_the_page_shows_and_the_options_it_would_take_for_its_own() -> (
    None
):
    pytest.importorskip("torch")
    from torch.distributed.run import get_args_parser

    page = (TOP / "docs" / "train-clip.md").read_text("utf-8")
    (shown,) = (line for line in page.splitlines() if line.startswith("torchrun "))
    given = [*shown.split()[1:], "--start", "MobileCLIP2-S0", "--master-port"]
    found = get_args_parser().parse_args(given)
    assert found.module and found.training_script == "galago"
    assert found.training_script_args == given[given.index("train-clip") :]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for name in ("torch", "open_clip", "webdataset"):
        pytest.importorskip(name)
    return write_shards(tmp_path / "shards", [8])


@pytest.mark.parametrize(
    "more, told",
    [
        ((), "--student is missing, or --start with published weights"),
        (("--student", "MobileCLIP9"), "--student 'MobileCLIP9' is not possible: use MobileCLIP2"),
        (("--student", "no.toml"), "no such file: no.toml"),
        (("--lambda", "2"), "--lambda 2.0 is not possible: use 0 to 1"),
        (("--preset", "s9"), "--preset 's9' is not possible: use s0"),
        (("--dims", "6,6"), "the shards' rows have 11 numbers, and the teachers 6 + 6"),
        (("--scales", "6,-1"), "'6,-1' is no list of numbers above 0"),
        (("--precision", "int8"), "--precision 'int8' is not possible"),
        (("--start", "fastvlm-nano"), "fastvlm-nano"),
    ],
)
def test_what_can_be_mended_is_a_line(
    shards: Path, tmp_path: Path, capsys: Capture, more: tuple[str, ...], told: str
) -> None:
    ran = run(capsys, "train-clip", shards, tmp_path / "out", *more)
    assert ran.code == 2 and told in ran.line
    assert not (tmp_path / "out").exists()


def test_the_figures_are_told(shards: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    args = (shards, tmp_path / "out", "--student", tmp_path / "tiny.toml")
    ran = run(
        capsys, "train-clip", *args, "--batch", "4", "--steps", "2", "--workers", "0",
        "--held-out", shards, "--json",
    )  # fmt: skip
    told = json.loads(ran.out)
    assert ran.code == 0 and told["steps"] == 2 and told["held_out"]["pictures"] == 8
    assert told["image_cosine"] > 0.99 and told["text_cosine"] > 0.99
    ran = run(capsys, "train-clip", *args)
    assert ran.code == 2 and "is there already: give a new folder" in ran.line
