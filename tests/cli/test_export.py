"""`galago export` on the command line: what it writes, and one line for what it can't."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from galago.export.targets import TARGETS
from tests.helpers.clips import tiny_clip
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("models") / "tiny")


def test_the_folder_goes_to_stdout(capsys: Capture, model: Path, tmp_path: Path) -> None:
    result = run(capsys, "export", model, tmp_path / "out", "--dtype", "fp32")
    assert result.code == 0 and result.out == f"{tmp_path / 'out'}\n"
    assert "fp32: passed: least cosine" in result.err


def test_figures_as_json(capsys: Capture, model: Path, tmp_path: Path) -> None:
    result = run(capsys, "export", model, tmp_path / "out", "--dtype", "q8, fp32", "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert [one["dtype"] for one in records] == ["q8", "fp32"]
    assert all(one["passed"] for one in records)


def test_a_folder_that_is_there(capsys: Capture, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = run(capsys, "export", model, tmp_path)
    assert result.code == 2 and "is there already" in result.line
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_within_a_file(capsys: Capture, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = run(capsys, "export", model, tmp_path / "file" / "deep" / "out")
    assert result.code == 2 and f"{tmp_path / 'file'} is a file" in result.line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--dtype", "fp8"], "--dtype 'fp8' is not possible: use fp32, fp16, int8, q8, or all"),
        (["--dtype", "q4"], "--dtype 'q4' is not possible: use fp32, fp16, int8, q8, or all"),
        (["--to", "onx"], f"--to onx is not known: use {', '.join(TARGETS)}"),
    ],
)
def test_mistakes(
    words: list[str], line: str, capsys: Capture, model: Path, tmp_path: Path
) -> None:
    result = run(capsys, "export", model, tmp_path / "out", *words)
    assert (result.code, result.line) == (2, line)
    assert not list(tmp_path.iterdir())


def test_without_the_package(
    capsys: Capture, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run(capsys, "export", model, tmp_path / "out")
    assert result.code == 2 and "pip install" in result.line and "onnx" in result.line


@pytest.mark.parametrize(
    ("to", "words", "line"),
    [
        ("mlx", [], "--to mlx takes a FastVLM, not a MobileCLIP"),
        ("llava", ["--dtype", "fp16"], "--to llava takes a FastVLM, not a MobileCLIP"),
    ],
)
def test_targets_for_the_other_kind(
    to: str, words: list[str], line: str, capsys: Capture, model: Path, tmp_path: Path
) -> None:
    result = run(capsys, "export", model, tmp_path / "out", "--to", to, *words)
    assert (result.code, result.line) == (2, line)


@pytest.mark.parametrize(
    ("to", "dtype", "line"),
    [
        ("mlx", "bf16,4bit", "--to mlx writes one dtype a folder: name one of bf16, 8bit, "),
        ("mlx-app", "q4", "--dtype 'q4' is not possible: use bf16, 8bit, 4bit, fp32"),
        ("transformers", "fp16", "--dtype 'fp16' is not possible: use stored"),
    ],
)
def test_dtypes_of_a_folder(
    to: str, dtype: str, line: str, capsys: Capture, tmp_path: Path
) -> None:
    result = run(capsys, "export", "fastvlm-nano", tmp_path / "o", "--to", to, "--dtype", dtype)
    assert result.code == 2 and result.line.startswith(line)
    assert not list(tmp_path.iterdir())


def test_a_layout_and_what_is_told(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # which it doesn't need
    out = tmp_path / "nano for transformers"
    result = run(capsys, "export", "fastvlm-nano", out, "--to", "transformers", "--json")
    record = json.loads(result.out)
    assert result.code == 0 and record["folder"] == str(out) and record["rows"] == 1
    assert "has got a row of zeros" in result.err
