"""`galago evaluate own`: data and models in, figures out, nothing asked twice."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import tarfile
import time
from pathlib import Path

import pytest

from galago.evaluate.asking import VlmAsker
from galago.evaluate.intervals import wilson
from tests.helpers.commandline import POSIX_ONLY, run, start
from tests.helpers.rows import paint, write_lines

Capture = pytest.CaptureFixture[str]
FEW = ("--max-tokens", "4")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two labels, three pictures each."""
    for number in range(6):
        paint(tmp_path / "photos" / ("red", "dark_blue")[number % 2] / f"{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Four questions, two about one picture."""
    for number in range(3):
        paint(tmp_path / f"{number}.png", number)
    rows = [
        {"image": f"{number % 3}.png", "question": f"What is {number}?", "answer": "x"}
        for number in range(4)
    ]
    return write_lines(tmp_path / "rows.jsonl", rows)


def test_labels_by_a_mobileclip(capsys: Capture, labelled: Path, clip_folder: Path) -> None:
    result = run(capsys, "evaluate", "own", labelled, "-m", clip_folder, "--json")
    assert result.code == 0, result.err
    (found,) = [json.loads(line) for line in result.out.splitlines()]
    assert found["name"] == "tiny-clip, fp32" and found["asked"] == found["anew"] == 6
    right = sum(count for is_, said, count in found["confusion"] if is_ == said)
    assert sum(count for _, _, count in found["confusion"]) == 6 and found["top5"] == 1
    low, high = wilson(right, 6)
    assert found["right"]["mean"] == pytest.approx(right / 6, abs=1e-6)
    assert (found["right"]["low"], found["right"]["high"]) == pytest.approx((low, high), abs=1e-6)
    assert "2 labels: dark blue, red; asked about each: 'What is this?'" in result.err


def test_questions_by_a_fastvlm_as_a_table(capsys: Capture, asked: Path, ready: Path) -> None:
    result = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW)
    assert result.code == 0, result.err
    assert "0.0 % right" in result.out and "Wilson's" in result.out  # all alike: no spread to draw
    assert "ms from opening the picture (median)" in result.out
    assert "its doubt was never measured" in result.out
    assert max(len(line) for line in result.out.splitlines()) <= 100


def test_nothing_is_asked_twice(
    capsys: Capture, asked: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, "--limit", "2", "--json")
    whole = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, "--json")
    assert json.loads(first.out)["anew"] == 2 and json.loads(whole.out)["anew"] == 2
    assert "2 answers were there from before; --again asks anew" in whole.err
    assert "2 of 4 rows, drawn with seed 0" in first.err
    monkeypatch.setattr(VlmAsker, "ask", None)
    metric = ("--metric", "contains")  # judged otherwise, not asked otherwise
    again = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, *metric, "--json")
    assert json.loads(again.out)["tasks"][0]["metric"] == "contains"
    assert json.loads(again.out)["anew"] == 0


def test_a_decoder_that_learnt_alone_is_asked_anew(
    capsys: Capture, asked: Path, ready: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(ready, tmp_path / "model")
    own = ("evaluate", "own", asked, "-m", model, *FEW, "--json")
    before = json.loads(run(capsys, *own).out)
    assert json.loads(run(capsys, *own).out)["anew"] == 0
    (path,) = model.glob("*.safetensors")
    stored = bytearray(path.read_bytes())
    stored[-2] ^= 1  # of the embedding, which lies at the end
    path.write_bytes(stored)
    after = json.loads(run(capsys, *own).out)
    assert after["anew"] == 4
    assert before["settings"]["identity"] == after["settings"]["identity"]


def test_several_runs_are_compared(
    capsys: Capture, labelled: Path, clip_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    models = ("-m", clip_folder, "--precision", "fp32", "--precision", "int8")
    result = run(capsys, "evaluate", "own", labelled, *models, "--json", "--out", out)
    first, second = [json.loads(line) for line in result.out.splitlines()]
    assert first["comparison"] is None
    assert second["comparison"]["before"] == first["name"] == "tiny-clip, fp32"
    assert second["comparison"]["right"]["count"] == 6
    assert json.loads((out / "2" / "results.json").read_text("utf-8")) == second
    shown = run(capsys, "evaluate", "own", labelled, *models)
    assert "tiny-clip, int8 against tiny-clip, fp32, 6 answers of both" in shown.out
    later = ("-m", clip_folder, "--compare", out / "1")
    told = run(capsys, "evaluate", "own", labelled, *later, "--json")
    assert json.loads(told.out)["comparison"]["right"]["mean"] == 0


def test_suffixes_are_compared(capsys: Capture, asked: Path, ready: Path) -> None:
    words = ("--suffix", "", "--suffix", "In a word.")
    result = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, *words, "--json")
    first, second = [json.loads(line) for line in result.out.splitlines()]
    assert first["name"].endswith("'no suffix'") and second["name"].endswith("'In a word.'")
    assert second["anew"] == 4 and second["comparison"]["without"] == 0


def test_what_is_written(capsys: Capture, asked: Path, ready: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    own = ("evaluate", "own", asked, "-m", ready, *FEW, "--out", out)
    assert run(capsys, *own).code == 0
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert [one["where"] for one in answers] == [f"rows.jsonl:{line}" for line in range(1, 5)]
    assert all(one["right"] is False and one["answers"] == ["x"] for one in answers)
    page = (out / "worst.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 4 and "4 of 4 wrong answers" in page
    assert page.count(f'href="{(tmp_path / "0.png").as_uri()}"') == 2
    assert run(capsys, *own).code == 0  # its own folder is written again
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    refused = run(capsys, *own[:-1], tmp_path / "mine")
    assert refused.code == 2 and "has something else in it: name a new folder" in refused.line
    assert run(capsys, *own[:-1], tmp_path / "mine" / "notes.txt").code == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_damaged_pictures_are_told_and_the_rest_is_asked(
    capsys: Capture, asked: Path, ready: Path
) -> None:
    (asked.parent / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    result = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, "--json")
    assert result.code == 1
    found = json.loads(result.out)
    assert found["asked"] == 3 and [one["where"] for one in found["failed"]] == ["rows.jsonl:2"]
    assert "galago: rows.jsonl:2: " in result.err
    assert "galago: 1 of 4 rows could not be asked" in result.err
    for name in ("0.png", "2.png"):
        (asked.parent / name).write_bytes(b"\x89PNG\r\n\x1a\nno more")
    none = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, "--again")
    assert none.code == 2 and none.out == "" and "no row could be asked" in none.err


def test_faults_are_told_before_a_model_is_opened(capsys: Capture, tmp_path: Path) -> None:
    with open(tmp_path / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "question", "answer"], ["a.png", "What?", "x"], ["", "", ""]]
        )
    result = run(capsys, "evaluate", "own", tmp_path / "rows.csv", "-m", tmp_path / "no-model")
    assert result.code == 2 and "rows.csv:2: no such picture: a.png" in result.err
    assert result.line.startswith("1 of 1 row of ")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--metric", "bleu"), "--metric 'bleu': choose one of exact, any-of"),
        (("--limit", "0"), "--limit 0 is not possible"),
        (("--max-tokens", "0"), "--max-tokens 0 leaves no answer"),
        (("--compare", "nowhere"), "nowhere is no folder that"),
        (("--question", "Why?"), "--question is for data without questions"),
        (("--images", "nowhere"), "--images nowhere is no folder"),
        (("-m", "mobileclip2-nano"), "mobileclip2-nano chooses among labels, and this data has"),
        (("-m", "no-such-model"), "no model is called 'no-such-model'"),
        (("--resolution", "100", "-m", "fastvlm-nano"), "100"),
        (("--templates", "plain", "-m", "fastvlm-nano"), "--templates is for a MobileCLIP"),
    ],
)
def test_one_line_says_what_to_do(
    capsys: Capture, asked: Path, options: tuple[str, ...], why: str
) -> None:
    result = run(capsys, "evaluate", "own", asked, *options)
    assert result.code == 2 and why in result.line and result.out == ""


def test_options_that_a_mobileclip_has_not(capsys: Capture, labelled: Path) -> None:
    own = ("evaluate", "own", labelled, "-m", "mobileclip2-nano")
    assert "--suffix is for a FastVLM" in run(capsys, *own, "--suffix", "One word.").line
    assert "--resolution is for a FastVLM" in run(capsys, *own, "--resolution", "512").line


def test_nothing_is_asked_before_all_is_understood(
    capsys: Capture, labelled: Path, asked: Path, ready: Path, tmp_path: Path
) -> None:
    out, many = tmp_path / "out", ("--out", tmp_path / "many")
    typo = ("-m", ready, "-m", "no-such-model", *FEW, *many)
    wrong = run(capsys, "evaluate", "own", asked, *typo)
    assert wrong.code == 2 and "no model is called 'no-such-model'" in wrong.line
    assert wrong.out == "" and not (tmp_path / "many").exists()
    assert run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, "--out", out).code == 0
    other = run(capsys, "evaluate", "own", labelled, "-m", ready, *FEW, "--compare", out)
    twice = ("--precision", "fp32", "--precision", "x")
    odd = run(capsys, "evaluate", "own", asked, "-m", ready, *FEW, *twice)
    assert odd.code == 2 and "precision 'x' is not known" in odd.line and odd.out == ""
    assert other.code == 2 and "was asked none of these rows: give the data" in other.line
    assert other.out == "" and "answers" not in other.err


def test_pictures_of_a_tar_on_the_page(capsys: Capture, ready: Path, tmp_path: Path) -> None:
    for number in range(2):
        path = paint(tmp_path / f"{number}.png", number)
        (tmp_path / f"{number}.json").write_text('{"question": "What?", "answer": "x"}')
        with tarfile.open(tmp_path / "rows.tar", "a") as tar:
            tar.add(path, f"{number}.png")
            tar.add(tmp_path / f"{number}.json", f"{number}.json")
    out = tmp_path / "out"
    own = ("evaluate", "own", tmp_path / "rows.tar", "-m", ready, *FEW, "--out", out)
    assert run(capsys, *own).code == 0
    page = (out / "worst.html").read_text("utf-8")
    pictures = re.findall('base64,([^"]+)', page)
    assert len(pictures) == len(set(pictures)) == 2 and "href" not in page


def test_words_that_are_left_out(capsys: Capture, labelled: Path) -> None:
    assert "did you mean galago evaluate own " in run(capsys, "evaluate", labelled).line
    line = run(capsys, "evaluate", "speed").line
    assert line.startswith("'speed' can't be evaluated; there is: ") and "own" in line
    alone = run(capsys, "evaluate")
    assert alone.code == 2 and "Commands:\n" in alone.err and "\n  own " in alone.err
    assert "galago evaluate own --help" in run(capsys, "evaluate", "own").line


@pytest.mark.slow
@POSIX_ONLY
@pytest.mark.model
def test_ctrl_c_loses_nothing(tmp_path: Path, clean_world: Path, picture: Path) -> None:
    for number in range(60):
        (tmp_path / "data" / "noise").mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / "data" / "noise" / f"{number}.jpg")
        with open(tmp_path / "data" / "noise" / f"{number}.jpg", "ab") as file:
            file.write(b" " * number)  # each is another picture
    command = ("evaluate", "own", tmp_path / "data", "-m", "fastvlm-nano", "--json")
    process = start(*command)
    kept = clean_world / "galago" / "evaluate"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(file.read_bytes().count(b'"said"') >= 3 for file in kept.glob("*.jsonl")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in err and out == ""
    again = start(*command)
    out, err = again.communicate(timeout=120)
    found = json.loads(out)
    assert again.returncode == 0 and found["asked"] == 60 and 0 < found["anew"] <= 57, err
