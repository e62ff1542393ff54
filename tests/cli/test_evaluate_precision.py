"""`galago evaluate precision`: each precision in a process of its own, one table, one advice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from galago.cli import evaluate_precision
from galago.convert import store
from galago.errors import SelfCheckError
from galago.evaluate.precision import Setting
from galago.places import EXAMPLES
from tests.helpers.commandline import run
from tests.helpers.rows import paint, write_lines

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Three questions."""
    for number in range(3):
        paint(tmp_path / f"{number}.png", number)
    return write_lines(
        tmp_path / "rows.jsonl",
        [{"image": f"{n}.png", "question": "What is this?", "answer": "x"} for n in range(3)],
    )


def test_trials_of_a_fastvlm(capsys: Capture, rows: Path, wide: Path) -> None:
    few = ("--max-tokens", "2", "--json", "--precision", "int8")
    result = run(capsys, "evaluate", "precision", wide, rows, *few)
    assert result.code == 0, result.err
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [one["asked"] for one in found] == ["fp32", "int8"]
    assert [one["recommended"] for one in found].count(True) == 1
    full, narrow = found
    assert full["precision"] == "fp32" and narrow["precision"].startswith("int8")
    assert full["same"] == 1 and full["difference"] is None
    assert narrow["difference"]["count"] == narrow["right"]["count"] == 3
    assert all(one["memory"] is None or one["memory"] > 1e6 for one in found)
    assert all(one["seconds"] > 0 and one["resolution"] is None for one in found)


def test_one_that_cant_be_tried_is_told_and_the_others_are(
    capsys: Capture, rows: Path, wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = store.prepare

    def strays(name: str, *, precision: str, **more: Any) -> store.Prepared:
        if precision == "int8":
            raise SelfCheckError("it strays")
        return prepare(name, precision=precision, **more)

    monkeypatch.setattr(store, "prepare", strays)
    few = ("--max-tokens", "2", "--precision", "int8")
    result = run(capsys, "evaluate", "precision", wide, rows, *few)
    assert result.code == 1 and result.line == "int8 can't be tried: it strays"
    assert "recommended: --precision fp32, as none that is quicker" in result.out
    assert "3 questions of" in result.out and "100.0 %" in result.out


def test_what_is_tried_of_a_fastvlm(wide: Path) -> None:
    kind, found = evaluate_precision._settings(str(wide), None, None, True)
    assert kind == "fastvlm" and found[0] == Setting("fp32")
    assert {one.precision for one in found if one.side is None} == {
        *("fp32", "bf16", "int8", "int4", "int8-int8", "int4-int8")
    }


def test_a_mobileclip_has_one_resolution(capsys: Capture, clip_folder: Path) -> None:
    kind, found = evaluate_precision._settings(str(clip_folder), None, None, True)
    assert (kind, found) == ("mobileclip", [Setting(one) for one in ("fp32", "bf16", "int8")])
    result = run(capsys, "evaluate", "precision", clip_folder, "-r", "256")
    assert result.code == 2 and "a MobileCLIP has one" in result.line


@pytest.mark.parametrize("kind", ["fastvlm", "mobileclip"])
def test_the_examples_are_asked_without_data(kind: str) -> None:
    path = Path(evaluate_precision._shipped(kind))
    assert path.is_file() and path.is_relative_to(EXAMPLES)


def test_faulty_rows_are_told_before_a_model_is_looked_for(
    capsys: Capture, rows: Path, wide: Path
) -> None:
    (rows.parent / "1.png").unlink()
    few = ("--max-tokens", "2", "--precision", "fp32")
    result = run(capsys, "evaluate", "precision", "no-such-model", rows, *few)
    assert result.code == 2 and "rows.jsonl:2: no such picture" in result.err
    assert result.line.startswith("1 of 3 rows of ") and "--skip-bad" in result.line
    without = run(capsys, "evaluate", "precision", wide, rows, *few, "--skip-bad")
    assert without.code == 0 and "2 questions of" in without.out
    assert "left out: 1 row with faults, of 3" in without.err


def test_rows_that_cant_be_asked_are_told_once(capsys: Capture, rows: Path, wide: Path) -> None:
    (rows.parent / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    few = ("--max-tokens", "2", "--precision", "fp32", "--precision", "int8")
    result = run(capsys, "evaluate", "precision", wide, rows, *few)
    assert result.code == 1 and "2 questions of" in result.out
    assert result.err.count("galago: rows.jsonl:2: ") == 1
    assert result.err.count("galago: 1 of 3 rows could not be asked") == 1


def test_words_that_own_refuses_come_through(capsys: Capture, rows: Path, wide: Path) -> None:
    more = ("--metric", "nothing", "--precision", "fp32")
    result = run(capsys, "evaluate", "precision", wide, rows, *more)
    assert result.code == 2 and "'nothing'" in result.line


def test_a_converted_folder_has_one_precision(capsys: Capture, rows: Path, ready: Path) -> None:
    result = run(capsys, "evaluate", "precision", ready, rows)
    assert result.code == 2 and "is converted, which runs in one precision" in result.line
