"""Answers on disk: as they come, whole or not at all, of one model only."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from galago.errors import StorageError
from galago.evaluate.asking import Answer
from galago.evaluate.kept import KeptAnswers
from galago.version import __version__

ANSWER = Answer("ein “Hund”\n🐕", 0.5, None, False, 0.25, "end")
LABEL = Answer("dog", 0.9, 0.1, True, 0.01, "", ("dog", "cat"))
MODEL = {"model": "apple/FastVLM-0.5B", "precision": "int8"}


def test_answers_are_there_again(tmp_path: Path) -> None:
    with KeptAnswers(tmp_path / "new", MODEL) as kept:
        assert len(kept) == 0 and kept.get("a") is None
        kept.put("a", ANSWER)
        assert json.loads(kept.path.read_text("utf-8").split("\n")[2])["said"] == ANSWER.said
        kept.put("b", LABEL)
    with KeptAnswers(tmp_path / "new", MODEL) as kept:
        assert (kept.get("a"), kept.get("b"), len(kept)) == (ANSWER, LABEL, 2)
        kept.put("a", LABEL)
    with KeptAnswers(tmp_path / "new", MODEL) as kept:
        assert kept.get("a") == LABEL  # the newest counts
        header = json.loads(kept.path.read_text("utf-8").split("\n")[0])
        assert header == {"format": 1, "galago": __version__, **MODEL}
    with KeptAnswers(tmp_path / "new", MODEL | {"precision": "fp32"}) as kept:
        assert len(kept) == 0


def test_what_a_stopped_process_left_half_is_asked_again(tmp_path: Path) -> None:
    with KeptAnswers(tmp_path, MODEL) as kept:
        kept.put("a", ANSWER)
        kept.put("b", LABEL)
    whole = kept.path.read_bytes()
    for length in range(len(whole)):
        kept.path.write_bytes(whole[:length])
        with KeptAnswers(tmp_path, MODEL) as again:
            assert again.get("b") in (None, LABEL) and again.get("a") in (None, ANSWER)
            if length < len(whole) - 40:
                assert again.get("b") is None
            again.put("c", LABEL)
        with KeptAnswers(tmp_path, MODEL) as later:
            assert later.get("c") == LABEL


def test_figures_that_no_answer_has_are_passed_over(tmp_path: Path) -> None:
    with KeptAnswers(tmp_path, MODEL) as kept:
        pass
    strange: list[dict[str, object]] = [
        {"confidence": float("nan")}, {"confidence": -0.5}, {"known": 1.5}, {"seconds": -1},
        {"seconds": float("inf")}, {"confidence": 10**400},
    ]  # fmt: skip
    with open(kept.path, "a") as file:
        for number, one in enumerate(strange):
            file.write(json.dumps({"key": str(number), **ANSWER.to_json(), **one}) + "\n")
        file.write("[" * 200_000 + "\n")
    with KeptAnswers(tmp_path, MODEL) as kept:
        assert len(kept) == 0


def test_another_version_asks_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with KeptAnswers(tmp_path, MODEL) as kept:
        kept.put("a", ANSWER)
    monkeypatch.setattr("galago.evaluate.kept.__version__", "0.0.0")
    with KeptAnswers(tmp_path, MODEL) as kept:
        assert len(kept) == 0


def test_strange_lines_are_passed_over(tmp_path: Path) -> None:
    with KeptAnswers(tmp_path, MODEL) as kept:
        kept.put("a", ANSWER)
    with open(kept.path, "ab") as file:
        file.write(b'[1]\n{"key": "a"}\nnull\n\xff\n{"key": "b", "said": 1, "confidence": []}\n')
    with KeptAnswers(tmp_path, MODEL) as kept:
        assert len(kept) == 1 and kept.get("a") == ANSWER


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights of POSIX")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="answers can't be kept in"):
        KeptAnswers(tmp_path / "new", MODEL)


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with KeptAnswers(tmp_path, MODEL) as kept:
        kept._file.close()
        kept._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115
        with pytest.raises(StorageError, match="the disk is full: answers can't be kept"):
            kept.put("a", ANSWER)
        assert kept.get("a") is None


def test_the_most_memory_of_any_process_that_asked(tmp_path: Path) -> None:
    with KeptAnswers(tmp_path, MODEL) as kept:
        assert kept.peak is None
        kept.put_peak(500)
        kept.put("a", ANSWER)
    with KeptAnswers(tmp_path, MODEL) as kept:
        assert (kept.peak, kept.get("a"), len(kept)) == (500, ANSWER, 1)
        kept.put_peak(400)
        assert kept.peak == 500
        kept.put_peak(600)
    with KeptAnswers(tmp_path, MODEL) as kept:
        assert kept.peak == 600
