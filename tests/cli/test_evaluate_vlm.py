"""`galago evaluate vlm`: what it asks of lmms-eval, and what it makes of the results.

A program of the tests' stands in lmms-eval's place (tests/helpers/lmms.py); the library itself is
asked in tests/evaluate/vlm/test_tasks_stand_ins.py.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from galago.evaluate.intervals import wilson
from tests.helpers.commandline import POSIX_ONLY, run, start
from tests.helpers.lmms import put_harness
from tests.helpers.places import TOP

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links are for developers there")

SAMPLES = [
    {"doc_id": at, "exact_match": float(at % 4 > 0), "filtered_resps": "a hat"} for at in range(8)
]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = put_harness(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(place.parent))
    monkeypatch.syspath_prepend(str(place.parent))
    wish(place, figures={"exact_match,none": 0.75})
    return place


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("GQA", "ScienceQA"):
        place = tmp_path / "data" / "lmms-lab-encoder" / name
        place.mkdir(parents=True)
        (place / "README.md").touch()
    return tmp_path / "data"


def wish(program: Path, **more: Any) -> None:
    (program / "wish.json").write_text(json.dumps({"samples": SAMPLES, **more}))


def started(program: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (program / "seen.jsonl").read_text().splitlines()]


def argument(seen: dict[str, Any], name: str) -> str:
    words = seen["arguments"]
    return str(words[words.index(name) + 1])


def test_figures_as_json(
    capsys: Capture, program: Path, data: Path, ready: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tasks = ("evaluate", "vlm", "--tasks", "gqa,scienceqa_img", "--data", data)
    result = run(capsys, *tasks, "-m", ready, "--precision", "fp32", "--json", "--out", out)
    assert result.code == 0, result.err
    first, second = [json.loads(line) for line in result.out.splitlines()]
    assert (first["task"], second["task"]) == ("gqa", "scienceqa_img")
    assert first["figure"] == {
        "mean": 0.75,
        "low": round(wilson(6, 8)[0], 6),
        "high": round(wilson(6, 8)[1], 6),
        "count": 8,
        "pictures": 8,
        "method": "wilson",
    }
    assert (first["route"], first["lmms_eval"], first["size"]) == ("plugin", "0.7.3", 8)
    assert first["published"] == [] and first["failed"] == []
    assert json.loads((out / "results.json").read_text())["tasks"] == [first, second]
    said = [json.loads(line) for line in (out / "gqa.jsonl").read_text().splitlines()]
    assert [one["filtered_resps"] for one in said] == ["a hat"] * 8
    told = (TOP / "docs" / "cli.md").read_text("utf-8").split("\n### evaluate vlm\n")[1]
    assert all(f"`{name}`" in told.split("\n### ")[0] for name in first)
    seen = started(program)[0]
    assert argument(seen, "--model") == "galago"
    assert "precision=fp32" in argument(seen, "--model_args")
    assert seen["env"]["GALAGO_MODEL"] == str(ready)


def test_devices_go_along_and_answers_of_others_are_asked_anew(
    capsys: Capture, program: Path, data: Path, ready: Path
) -> None:
    asked = ("evaluate", "vlm", "--tasks", "gqa", "--data", data, "-m", ready)
    assert run(capsys, *asked).code == 0
    more = ("--device", "HETERO:CPU", "--vision-device", "AUTO:CPU")
    assert run(capsys, *asked, *more).code == 0
    plain, placed = [argument(seen, "--model_args") for seen in started(program)]
    assert "_on=" not in plain and "runs_on=HETERO:CPU,vision_on=AUTO:CPU" in placed
    assert "isn't here" in run(capsys, *asked, "--device", "GPU").err


def test_what_an_earlier_run_wrote_of_other_tasks_goes(
    capsys: Capture, program: Path, data: Path, ready: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ("evaluate", "vlm", "--data", data, "-m", ready, "--out", out)
    assert run(capsys, *asked, "--tasks", "gqa,scienceqa_img").code == 0
    (out / "notes.jsonl").touch()  # of the person's own
    wish(program, fail=True)
    assert run(capsys, *asked, "--tasks", "gqa", "--again").code == 2
    assert (out / "scienceqa_img.jsonl").exists()  # nothing came that would take its place
    wish(program, figures={"exact_match,none": 0.75})
    result = run(capsys, *asked, "--tasks", "gqa")
    assert result.code == 0
    assert "removed, of an earlier run: scienceqa_img.jsonl\n" in result.err
    names = sorted(path.name for path in out.iterdir())
    assert names == ["gqa.jsonl", "notes.jsonl", "results.json"]
    told = json.loads((out / "results.json").read_text())["tasks"]
    assert [one["task"] for one in told] == ["gqa"]


def test_a_table_beside_the_published_figures(
    capsys: Capture, program: Path, data: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.evaluate import published

    monkeypatch.setattr(
        "galago.evaluate.vlm.report.published_of",
        lambda model: published.published_of("apple/FastVLM-0.5B"),
    )
    result = run(
        capsys, "evaluate", "vlm", "--tasks", "gqa", "--data", data, "-m", ready, "--limit", "4"
    )
    assert result.code == 0, result.err
    (row,) = [line for line in result.out.splitlines() if line.startswith("gqa  ")]
    assert row.split()[:4] == ["gqa", "exact_match", "62.7", "%"] and row.endswith("4 of 8")
    assert "gqa: the published figure is of all questions" in result.out
    assert "paper: arXiv 2412.13303v2 Table 6" in result.out
    assert argument(started(program)[0], "--limit") == "4"


def test_data_that_is_missing_is_told_and_left_out(
    capsys: Capture, program: Path, data: Path, ready: Path
) -> None:
    asked = ("evaluate", "vlm", "--data", data, "-m", ready)
    result = run(capsys, *asked, "--tasks", "gqa,pope")
    assert result.code == 1 and "gqa  " in result.out
    assert result.line == (
        f"pope needs data of the hub that {data} hasn't: hf download lmms-lab-encoder/POPE "
        f"--repo-type dataset --local-dir {data / 'lmms-lab-encoder/POPE'}"
    )
    result = run(capsys, *asked, "--tasks", "pope")
    assert result.code == 2 and result.out == "" and len(started(program)) == 1


def test_a_task_that_fails_leaves_the_others(
    capsys: Capture, program: Path, data: Path, ready: Path
) -> None:
    wish(program, fail=True)
    asked = ("evaluate", "vlm", "--tasks", "gqa", "--data", data, "-m", ready)
    result = run(capsys, *asked)
    assert result.code == 2 and result.line.startswith("gqa: lmms-eval failed: datasets.exc")
    wish(program, figures={"exact_match,none": 0.75})
    assert run(capsys, *asked).code == 0


def test_answers_that_did_not_come_are_told(
    capsys: Capture, program: Path, data: Path, ready: Path
) -> None:
    failed = {**SAMPLES[0], "filtered_resps": "[LMMS_EVAL_REQUEST_FAILED after 1 retries] too long"}
    wish(program, samples=[failed, *SAMPLES[1:]], figures={"exact_match,none": 0.75})
    result = run(capsys, "evaluate", "vlm", "--tasks", "gqa", "--data", data, "-m", ready)
    assert result.code == 1
    assert result.line.startswith("gqa: 1 questions got no answer and count as wrong: [LMMS")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tasks", "gqa", "--limit", "0"), "--limit 0 is not possible"),
        (("--tasks", "gqa", "--route", "phone"), "--route 'phone': choose plugin or server"),
        (("--tasks", "nothing"), "--tasks: there is no 'nothing'"),
        (("--route", "plugin", "--environment", "env"), "--route plugin runs in galago's own"),
        (("--tasks", "gqa", "--data", "nowhere"), "is no folder"),
    ],
)
def test_bad_input_is_a_line(
    capsys: Capture, program: Path, words: tuple[str, ...], told: str
) -> None:
    result = run(capsys, "evaluate", "vlm", *words)
    assert result.code == 2 and told in result.line
    assert not (program / "seen.jsonl").exists()


@POSIX_ONLY
def test_a_request_to_end_reaches_what_installs(
    capsys: Capture, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Path] = []

    def made(folder: Path, progress: Any) -> str:
        try:
            # Called, not sent: what else hears of signals in a process of many tests ends it.
            handler = signal.getsignal(signal.SIGTERM)
            assert callable(handler)
            handler(signal.SIGTERM, None)
        except SystemExit:
            ended.append(folder)  # what it started is ended on this way
            raise
        return ""

    monkeypatch.setattr("galago.evaluate.vlm.environment.made", made)
    folder = tmp_path / "env"
    asked = ("evaluate", "vlm", "--tasks", "gqa", "--data", data, "--environment", folder)
    assert run(capsys, *asked).code == 128 + signal.SIGTERM
    assert ended == [folder]


@POSIX_ONLY
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_it_started_ends_with_it(
    program: Path, data: Path, ready: Path, how: signal.Signals
) -> None:
    main = program / "__main__.py"
    number = program / "number"
    main.write_text(
        f"import os, pathlib, time\npathlib.Path({str(number)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    where = os.pathsep.join([str(TOP), str(program.parent)])
    asked = ("evaluate", "vlm", "--tasks", "gqa", "--data", data, "-m", ready)
    process = start(*asked, PYTHONPATH=where)
    until = time.monotonic() + 120
    while not (number.exists() and number.read_text()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(how)
    process.communicate(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)
