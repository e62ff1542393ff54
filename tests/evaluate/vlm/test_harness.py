"""lmms-eval as a program: what it is told, what it must not know, what is read of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from galago.evaluate.vlm.harness import Harness, HarnessError, Route
from galago.evaluate.vlm.tasks import tasks_named
from tests.helpers.lmms import put_harness

(GQA,) = tasks_named("gqa")
SAMPLES = [{"doc_id": at, "exact_match": at % 2, "filtered_resps": "a"} for at in range(5)]
WISH = {"samples": SAMPLES, "figures": {"exact_match,none": 0.4}}
ROUTE = Route("server", "openai", "model=", {"OPENAI_API_BASE": "http://127.0.0.1:1/v1"})


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = put_harness(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(place.parent))
    (place / "wish.json").write_text(json.dumps(WISH))
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def started(program: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (program / "seen.jsonl").read_text().splitlines()]


def test_a_run_is_told_and_read(program: Path, folder: Path, tmp_path: Path) -> None:
    harness, heard = Harness(sys.executable, tmp_path / "sets"), []
    found = harness.run(GQA, ROUTE, folder, 3, 1, lambda *both: heard.append(both))
    assert [one["doc_id"] for one in found.samples] == [1, 2, 3]
    assert found.size == 5 and found.figures == {"exact_match,none": 0.4}
    assert heard[-1] == (3, 3)
    (seen,) = started(program)
    told = dict(zip(seen["arguments"][::1], seen["arguments"][1::1], strict=False))
    assert (told["--model"], told["--model_args"], told["--tasks"]) == ("openai", "model=", "gqa")
    assert (told["--limit"], told["--offset"], told["--use_cache"]) == ("3", "1", "answers")
    assert told["--process_docs_parallel"] == "1" and seen["cwd"] == str(folder.resolve())
    assert "on stdout it logs" in (folder / "log.txt").read_text()


def test_all_questions_without_a_limit(program: Path, folder: Path) -> None:
    found = Harness(sys.executable, folder).run(GQA, ROUTE, folder, None)
    assert len(found.samples) == 5
    assert not {"--limit", "--offset"} & {*started(program)[0]["arguments"]}


def test_nobody_else_can_be_reached(
    program: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "OPENAI_API_BASE", "LMMS_EVAL_PLUGINS"):
        monkeypatch.setenv(name, "secret")
    Harness(sys.executable, folder).run(GQA, Route("plugin", "galago", ""), folder, 1)
    Harness(sys.executable, folder).run(GQA, ROUTE, folder, 1)
    for seen, base in zip(
        started(program), ("http://127.0.0.1:9/v1", "http://127.0.0.1:1/v1"), strict=True
    ):
        assert "secret" not in seen["env"].values()
        assert seen["env"]["OPENAI_API_BASE"] == base
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            assert seen["env"][name] == "1"


def test_what_went_wrong_is_told_in_a_line(program: Path, folder: Path) -> None:
    (program / "wish.json").write_text(json.dumps({"fail": True}))
    with pytest.raises(HarnessError) as told:
        Harness(sys.executable, folder).run(GQA, ROUTE, folder, 1)
    line = str(told.value)
    assert line.startswith("gqa: lmms-eval failed: datasets.exceptions.DatasetNotFoundError: no")
    assert str(folder / "log.txt") in line and "\n" not in line


def test_results_of_an_earlier_run_are_not_taken_for_its_own(program: Path, folder: Path) -> None:
    harness = Harness(sys.executable, folder)
    harness.run(GQA, ROUTE, folder, None)
    (program / "wish.json").write_text(json.dumps({"fail": True}))
    with pytest.raises(HarnessError):
        harness.run(GQA, ROUTE, folder, None)
