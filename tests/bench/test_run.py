"""`galago bench`: what is planned, measured once and kept; the work that is counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.bench import plan
from galago.bench.jobs import Job, Row, Settings
from galago.bench.run import Run, merged
from galago.bench.vlm import shapes
from galago.bench.vlm.cost import decoder_weights, prefill_operations, vision_operations
from galago.bench.vlm.rows import PACKAGES, PRECISIONS
from galago.bench.vlm.shapes import (
    SHAPES,
    Shape,
    build,
    converted_folder,
    sources,
    write_random,
)
from galago.checkpoints.vlm import open_checkpoint
from galago.errors import OptionError
from galago.specs import FASTVITHD
from tests.helpers.checkpoints import TINY_TEXT, TINY_VISION, write_tokenizer
from tests.helpers.commandline import run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "bench", threads=1, runs=1, quick=True)


Answers = Callable[[Job], dict[str, Any]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were done, in order; each takes another time."""
    done: list[Job] = []

    def measure(_: Run, job: Job) -> dict[str, Any]:
        done.append(job)
        if job.options.get("fails"):
            return {"error": "OptionError: no"}
        return {"samples": {"seconds": [float(len(done))]}, "peak_bytes": 10 - len(done)}

    monkeypatch.setattr(Run, "_measure", measure)
    return done


def row(name: str, needs: tuple[Job, ...] = (), **options: Any) -> Row:
    return Row(name, Job("vlm.ours.first", options), needs)


# -- the plan --------------------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, False])
def test_names_are_of_one_row_each(tmp_path: Path, quick: bool) -> None:
    every = plan.rows(Settings(tmp_path, 2, quick=quick))
    names = [one.name for one in every]
    assert len(set(names)) == len(names)
    heads = {name.split("/")[0] for name in names}
    assert {"roofline", "first", "curve", "second", "start", "clip"} <= heads


def test_jobs_lead_to_functions(tmp_path: Path) -> None:
    import importlib

    every = plan.rows(Settings(tmp_path, 2))
    kinds = {job.kind for one in every for job in (one.job, *one.needs)}
    for kind in kinds:
        module, _, name = kind.rpartition(".")
        assert callable(getattr(importlib.import_module(f"galago.bench.{module}"), name)), kind


def test_the_whole_plan_covers_what_is_promised(tmp_path: Path) -> None:
    names = {one.name for one in plan.rows(Settings(tmp_path, 2))}
    for precision in PRECISIONS:
        for side in (256, 512, 768, 1024):
            assert f"first/0.5B/galago/{precision}/{side}" in names
    for peer in ("transformers/bf16/1024", "llava-onevision/bf16", "llava-onevision/fp32"):
        assert f"first/0.5B/{peer}" in names
    curves = ("resolution", "prompt", "answer", "requests", "threads", "describe")
    assert {f"curve/{along}/0.5B" for along in curves} <= names
    assert {"first/7B/galago/int4/1024", "vision/0.5B/onnxruntime/fp32/512"} <= names


def test_rows_are_chosen_by_their_beginnings(settings: Settings) -> None:
    every = plan.rows(settings)
    assert plan.chosen(every, []) == every
    assert {one.name for one in plan.chosen(every, ["roofline/r", "second"])} == {
        "roofline/read",
        "second/nano",
    }


# -- measuring -------------------------------------------------------------------------------------


def test_a_finished_row_is_kept(settings: Settings, measured: list[Job]) -> None:
    rows = [row("one"), row("two")]
    Run(settings).all(rows)
    assert len(measured) == 2
    later = Run(settings)
    later.all(rows)
    assert len(measured) == 2
    assert later.results(rows)["two"]["samples"] == {"seconds": [2.0]}


def test_other_options_or_versions_are_measured_anew(
    settings: Settings, measured: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(settings).all([row("one", side=1)])
    Run(settings).all([row("one", side=2)])
    assert len(measured) == 2
    monkeypatch.setattr("galago.bench.run.__version__", "99")
    Run(settings).all([row("one", side=2)])
    peer = Row("peer", Job("roofline.read"), packages=("numpy",), ours=False)
    Run(settings).all([peer])
    monkeypatch.setattr("galago.bench.run.__version__", "100")
    Run(settings).all([peer])  # which has nothing to do with galago's version
    assert len(measured) == 4


def test_again_measures_once_more(settings: Settings, measured: list[Job]) -> None:
    Run(settings).all([row("one")])
    repeated = Run(settings, again=True)
    repeated.all([row("one")])
    assert len(measured) == 2
    assert repeated.results([row("one")])["one"]["samples"]["seconds"] == [2.0]


def test_rounds_of_an_earlier_run_do_not_outvote_a_later_one(
    settings: Settings, measured: list[Job]
) -> None:
    Run(settings, rounds=3).all([row("one")])  # 1, 2 and 3 seconds
    repeated = Run(settings, again=True)
    repeated.all([row("one")])
    assert repeated.results([row("one")])["one"]["samples"]["seconds"] == [4.0]


def test_rounds_go_in_turn_and_are_joined(settings: Settings, measured: list[Job]) -> None:
    rows = [
        row("one", n=1),
        Row("once", Job("vlm.ours.first", {"n": 2}), once=True),
        row("two", n=3),
    ]
    joined = Run(settings, rounds=2)
    joined.all(rows)
    assert [job.options["n"] for job in measured] == [1, 2, 3, 1, 3]
    assert joined.results(rows)["two"]["samples"]["seconds"] == [3.0, 5.0]


def test_a_stopped_run_goes_on(
    settings: Settings, measured: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, working = [row(str(n)) for n in range(3)], Run._measure

    def stop(self: Run, job: Job) -> dict[str, Any]:
        if len(measured) == 2:
            raise KeyboardInterrupt
        return working(self, job)

    monkeypatch.setattr(Run, "_measure", stop)
    with pytest.raises(KeyboardInterrupt):
        Run(settings).all(rows)
    with (settings.cache / "rows.jsonl").open("a") as file:
        file.write('{"key": "cut sh')  # as a power cut leaves it
    monkeypatch.setattr(Run, "_measure", working)
    resumed = Run(settings)
    resumed.all(rows)
    assert len(measured) == 3 and not resumed.failed
    Run(settings).all(rows)  # none was lost behind the half line
    assert len(measured) == 3


def test_a_failure_is_told_and_tried_again(settings: Settings, measured: list[Job]) -> None:
    making = Job("vlm.shapes.build", {"fails": True})
    rows = [row("bad", fails=True), row("unmade", (making,)), row("unmade too", (making,))]
    failed = Run(settings)
    failed.all([*rows, row("good")])
    found = failed.results([*rows, row("good")])
    assert {name for name, result in found.items() if "error" in result} == {
        one.name for one in rows
    }
    assert len(measured) == 3  # the preparation was tried once
    Run(settings).all(rows)
    assert len(measured) == 5


def test_a_peer_that_is_absent_says_what_installs_it(
    settings: Settings, measured: list[Job]
) -> None:
    making = Job("vlm.peers.export_vision", modules=("json", "nor_this"))
    job = Job("vlm.peers.onnx_vision", modules=("json", "surely_not_there"))
    peer = Row("peer", job, (making,))
    told: list[str] = []
    failed = Run(settings, progress=lambda stage, share: told.append(stage))
    failed.all([peer])
    assert not measured
    line = "surely_not_there, nor_this not installed (in the extra bench)"
    assert failed.failed["peer"] == line and failed.lacking == {"surely_not_there", "nor_this"}
    assert any(line in one for one in told)


def test_what_was_made_goes_behind_the_last_row_that_needs_it(
    settings: Settings, measured: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = settings.cache / "one", settings.cache / "two"
    seen, measure = [], Run._measure

    def watch(self: Run, job: Job) -> dict[str, Any]:
        if "n" in job.options:
            seen.append((one.exists(), two.exists()))
        elif job.scratch:
            job.scratch.mkdir()
        return measure(self, job)

    monkeypatch.setattr(Run, "_measure", watch)
    makings = [Job("vlm.shapes.build", {"makes": str(f)}, scratch=f) for f in (one, two)]
    once = Row("once", Job("vlm.ours.first", {"n": 1}), tuple(makings), once=True)
    Run(settings, rounds=2).all([once, row("other", (makings[0],), n=2), row("last", n=3)])
    # rounds of those that share a folder come together, before anybody else's disk is filled
    assert seen == [(True, True), (True, False), (True, False), (False, False), (False, False)]
    assert not one.exists() and not two.exists()


def test_a_process_that_dies_is_a_failure(settings: Settings) -> None:
    one = Run(settings)
    one.all([Row("gone", Job("vlm.ours.no_such_function"))])
    assert "no_such_function" in one.failed["gone"]


def test_merged_keeps_the_highest_memory() -> None:
    joined = merged([{"points": {"1": [2.0]}, "peak_bytes": 5}, {"points": {}, "peak_bytes": 3}])
    assert joined == {"points": {"1": [2.0]}, "peak_bytes": 5}


# -- models and their work -------------------------------------------------------------------------


def test_random_weights_are_the_same_however_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Shape(TINY_VISION, TINY_TEXT, 256)
    whole = write_random(tmp_path / "whole", shape)
    monkeypatch.setattr(shapes, "_RUN", 1000)
    write_random(tmp_path / "cut", shape)
    one, other = (tmp_path / name / "model.safetensors" for name in ("whole", "cut"))
    assert one.read_bytes() == other.read_bytes()
    write_tokenizer(whole)
    opened = open_checkpoint(whole)
    assert opened.spec.text.tied and opened.spec.vision == TINY_VISION


def test_a_model_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "tiny", Shape(TINY_VISION, TINY_TEXT, 256))
    options = {"cache": str(tmp_path), "shape": "tiny", "precision": "fp32"}
    build(options)
    folder = converted_folder(tmp_path, "tiny", "fp32")
    made = (folder / "galago.json").stat().st_mtime_ns
    assert json.loads((folder / "galago.json").read_text())["self_check"]["passed"]
    shutil.rmtree(sources(tmp_path))
    build(options)
    assert (folder / "galago.json").stat().st_mtime_ns == made
    with pytest.raises(OptionError, match="one of"):
        build(options | {"shape": "3B"})


def test_operations_of_the_published_trunk() -> None:
    """473 GFLOP at 1024 px by a profiler that leaves attention's own products out."""
    assert vision_operations(FASTVITHD, 1024) == pytest.approx(473e9, rel=0.04)
    assert vision_operations(FASTVITHD, 512) == pytest.approx(118e9, rel=0.04)


def test_operations_of_the_decoder() -> None:
    text = SHAPES["0.5B"].text
    assert decoder_weights(text) == pytest.approx(494e6, rel=0.01)  # Qwen2-0.5B without norms
    one, two = prefill_operations(text, 100), prefill_operations(text, 200)
    assert 1.9 * one < two < 2.1 * one
    assert prefill_operations(text, 100, known=100) > one


# -- whole -----------------------------------------------------------------------------------------


def test_requests_bring_pictures_never_seen(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from galago.bench.vlm import ours

    seen: list[int] = []
    picture = ours.picture

    def noted(number: int, side: int) -> Any:
        seen.append(number)
        return picture(number, side)

    monkeypatch.setattr(ours, "picture", noted)
    options = {"model": str(ready), "threads": 1, "text_tokens": 90, "decoded": 2, "runs": 2}
    ours.curve(options | {"along": "requests", "sizes": (1, 2)})
    assert len(seen) == len(set(seen)) == 1 + 2 * (1 + 2)


@pytest.mark.parametrize("along", ["prompt", "answer", "requests"])
def test_curves_of_a_real_model(ready: Path, along: str) -> None:
    from galago.bench.vlm.ours import curve

    options = {"model": str(ready), "threads": 1, "text_tokens": 90, "decoded": 3, "runs": 1}
    found = curve(options | {"along": along, "sizes": (2, 3) if along != "prompt" else (64, 128)})
    assert found["points"] and all(np.array(v).min() > 0 for v in found["points"].values())


def test_a_row_in_a_process_of_its_own(settings: Settings, ready: Path) -> None:
    options = {"model": str(ready), "threads": 1, "text_tokens": 90, "decoded": 3, "runs": 2}
    rows = [row("first/tiny/galago/fp32/256", **options)]
    one = Run(settings)
    one.all(rows)
    assert not one.failed
    found = one.report(rows, PACKAGES)["rows"]["first/tiny/galago/fp32/256"]
    assert len(found["samples"]["first_token"]) == 2
    assert found["image_tokens"] == 16
    assert found["known_tokens"] == 0  # of so small a model all is fed anew
    assert found["fed_tokens"] == pytest.approx(16 + 90, abs=3)
    assert found["peak_bytes"] >= found["answered_bytes"] > 10e6
    assert found["token_bytes"] < found["weight_bytes"] and found["self_check"]["passed"]


def test_the_command_lists_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "bench", "--quick", "--list", "roofline", "second")
    assert result.code == 0
    assert result.out.split() == [
        "roofline/fp32",
        "roofline/bf16",
        "roofline/int8",
        "roofline/read",
        "second/nano",
    ]


def test_the_command_knows_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "bench", "frist")
    assert result.code == 2 and "--list" in result.line


def test_the_command_writes_what_it_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, measured: list[Job]
) -> None:
    out = tmp_path / "docs"
    out.mkdir()
    (out / "performance.md").write_text("# Mine\n\nWords of a person.\n")
    cache = tmp_path / "cache"
    result = run(capsys, "bench", "--quick", "second", "--cache", cache, "--out", out)
    assert result.code == 0 and measured
    text = (out / "performance.md").read_text("utf-8")
    assert text.startswith("# Mine\n\nWords of a person.\n") and result.out in text
    report = json.loads((out / "performance.json").read_text("utf-8"))
    assert set(report["rows"]) == {"second/nano"} and report["machine"]["cpu"]
    more = run(capsys, "bench", "--quick", "start", "--cache", cache, "--out", out)
    assert "second question" not in more.out  # which was not asked for this time
    report = json.loads((out / "performance.json").read_text("utf-8"))
    assert set(report["rows"]) == {"second/nano", "start/nano"}


@pytest.mark.parametrize("option", ["--cache", "--out"])
def test_what_can_not_be_written_is_told_before_measuring(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, measured: list[Job], option: str
) -> None:
    (tmp_path / "file").write_text("")
    folders = {"--cache": tmp_path / "cache"} | {option: tmp_path / "file" / "in"}
    given = [word for pair in folders.items() for word in pair]
    result = run(capsys, "bench", "--quick", "second", *given)
    assert result.code == 2 and "can't be written" in result.line and not measured
