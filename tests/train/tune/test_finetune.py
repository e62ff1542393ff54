"""Whole trainings of seconds, on tiny models of each layout (`make train-test`; needs torch)."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from galago.convert.load import load_sessions  # noqa: E402
from galago.errors import ModelError, OptionError, StorageError  # noqa: E402
from galago.hub.resolve import resolve  # noqa: E402
from galago.train.tune import loop, own_tasks  # noqa: E402
from galago.train.tune.errors import DivergedError, FullMemoryError  # noqa: E402
from galago.train.tune.finetune import Job, finetune  # noqa: E402
from galago.train.tune.learner import Learner  # noqa: E402
from galago.train.tune.options import TuneOptions  # noqa: E402
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava  # noqa: E402
from tests.helpers.tunings import QUICK, losses, rows_in, tune  # noqa: E402


@pytest.fixture(autouse=True)
def few_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights read no note, and say much."""
    monkeypatch.setattr(own_tasks, "NOTES", 2)


@pytest.mark.parametrize("write", [tiny_llava, tiny_fast_vlm])
@pytest.mark.parametrize(
    "options",
    [
        QUICK,
        TuneOptions(full=True, epochs=1, rate=1e-3, measured=0),
        TuneOptions(parts=("projector", "vision"), epochs=4, rate=1e-3, measured=0),
    ],
    ids=["lora", "full", "vision"],
)
def test_it_learns_and_galago_opens_it(
    tmp_path: Path, write: Callable[[Path], Path], options: TuneOptions
) -> None:
    made = tune(write(tmp_path / "base"), tmp_path / "out", options, rows_in(tmp_path / "data"))
    assert made.held_out_before is not None and made.held_out_after is not None
    assert made.held_out_after < made.held_out_before
    assert made.check.passed
    load_sessions(tmp_path / "out", "fp32")
    told = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "held-out loss" in told
    own = [(figure.what, figure.count > 0) for figure in made.own_after]
    assert bool(own) == (write is tiny_llava and options.measured > 0)
    assert len(made.own_before) == len(own) and all(asked for _, asked in own)
    assert all(f"| {what} | " in told for what, _ in own)
    assert ("How much the base forgot" in told) == bool(own)
    assert not (tmp_path / "out.work").exists()


def test_transformers_says_the_same_of_a_merged_folder(tmp_path: Path) -> None:
    from transformers import FastVlmForConditionalGeneration

    rows = rows_in(tmp_path / "data")
    tune(tiny_fast_vlm(tmp_path / "base"), tmp_path / "out", QUICK, rows)
    theirs = FastVlmForConditionalGeneration.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ours = load_sessions(tmp_path / "out", "fp32")
    pixels = rows[0].pictures[0].pixel_values(ours.spec.image)[None]
    tokens = (ours.spec.image.side // 64) ** 2
    before, behind = [1, 100, 101], [60, 61, 2]
    with torch.inference_mode():
        wanted = (
            theirs.eval()
            .generate(
                input_ids=torch.tensor([[*before, *[259] * tokens, *behind]]),
                pixel_values=torch.from_numpy(pixels),
                max_new_tokens=16,
                min_new_tokens=16,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=0,
            )[0, -16:]
            .tolist()
        )
    cache, embed = ours.language.new_cache(), ours.language.embed
    features = ours.vision.encode(pixels)[0]
    logits = cache.append(np.concatenate([embed(before), features, embed(behind)]))
    said = []
    for _ in range(16):
        said.append(int(logits.argmax()))
        logits = cache.append(embed(said[-1:]))
    assert said == wanted and len(set(said)) > 2


def test_one_row_is_learnt_and_nothing_is_held_out(tmp_path: Path) -> None:
    rows = rows_in(tmp_path / "data", 1)[:1]
    made = tune(tiny_llava(tmp_path / "base"), tmp_path / "out", QUICK, rows)
    assert made.steps == 2 and made.held_out_after is None and made.before is None


def test_stopped_while_it_is_asked_the_folder_has_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(model: Any, rows: Any, words: str, *rest: Any) -> None:
        if words.endswith("after"):
            raise KeyboardInterrupt

    monkeypatch.setattr("galago.train.tune.finetune.ask_all", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune(tiny_fast_vlm(tmp_path / "base"), tmp_path / "out", QUICK, rows_in(tmp_path / "data"))
    told = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "| held-out loss |" in told and "held-out answers" not in told


def test_continued_with_other_questions_it_asks_the_base_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, rows, out = tiny_llava(tmp_path / "base"), rows_in(tmp_path / "data"), tmp_path / "out"

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "forward", stop)
    with pytest.raises(KeyboardInterrupt):
        tune(base, out, dataclasses.replace(QUICK, measured=0), rows)
    monkeypatch.undo()
    monkeypatch.setattr(own_tasks, "NOTES", 2)
    made = tune(base, out, QUICK, rows)
    assert made.before is not None and len(made.own_before) == len(made.own_after) == 2


def test_a_loss_that_is_no_number_names_the_rows(tmp_path: Path) -> None:
    options = TuneOptions(epochs=5, rate=1e30, measured=0, patience=0)
    with pytest.raises(ModelError, match=r"diverged in step \d+"):
        tune(tiny_llava(tmp_path / "base"), tmp_path / "out", options, rows_in(tmp_path / "data"))
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_leaves_what_was_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, rows, out = tiny_llava(tmp_path / "base"), rows_in(tmp_path / "data"), tmp_path / "out"
    forward, seen = Learner.forward, []

    def spoilt(self: Learner, *more: Any, **named: Any) -> Any:
        seen.append(0)
        found = forward(self, *more, **named)
        return {"loss": found["loss"] * float("nan")} if len(seen) == 6 else found

    monkeypatch.setattr(Learner, "forward", spoilt)
    options = TuneOptions(epochs=4, rate=1e-3, batch=2, measured=0, held_out=0.0)
    job = Job(resolve(base), rows, [], out, options, "colours")
    with pytest.raises(DivergedError, match=r"diverged in step 6 at rows:\d, rows:\d: .*--rate"):
        finetune(job)
    kept = loop.last_whole(tmp_path / "out.work")
    assert kept is not None and kept.name == "checkpoint-5" and not out.exists()


def test_other_options_do_not_continue(tmp_path: Path) -> None:
    base, rows = tiny_llava(tmp_path / "base"), rows_in(tmp_path / "data")
    options = TuneOptions(epochs=5, rate=1e30, measured=0, patience=0)
    with pytest.raises(ModelError):
        tune(base, tmp_path / "out", options, rows)
    with pytest.raises(OptionError, match="--no-resume"):
        tune(base, tmp_path / "out", QUICK, rows)
    tune(base, tmp_path / "out", QUICK, rows, resume=False)


# -- what a machine refuses, provoked -------------------------------------------------------------


REFUSED = TuneOptions(epochs=4, rate=1e-3, batch=2, measured=0, patience=0)


def test_a_full_disk_leaves_the_last_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, rows, out = tiny_llava(tmp_path / "base"), rows_in(tmp_path / "data"), tmp_path / "out"
    written = loop.save_file

    def full(tensors: Any, path: Path) -> None:
        if "checkpoint-3" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        written(tensors, path)

    monkeypatch.setattr(loop, "save_file", full)
    with pytest.raises(StorageError, match=r"disk is full.*step 3 .*step 2 is kept.*make room"):
        tune(base, out, REFUSED, rows)
    assert not out.exists()
    kept = loop.last_whole(tmp_path / "out.work")
    assert kept is not None and kept.name == "checkpoint-2"
    monkeypatch.undo()
    assert tune(base, out, REFUSED, rows).steps == 12  # the same command goes on


def test_too_little_memory_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(self: Learner, *_: Any, **__: Any) -> Any:
        return torch.empty(1 << 55)  # what the allocator really says

    rows, out = rows_in(tmp_path / "data"), tmp_path / "out"
    monkeypatch.setattr(Learner, "forward", greedy)
    with pytest.raises(FullMemoryError, match=r"lower --batch \(it is 2\).*--checkpointing"):
        tune(tiny_llava(tmp_path / "base"), out, REFUSED, rows)
    assert not out.exists()


def test_bf16_learns_on_any_processor(tmp_path: Path) -> None:
    options = TuneOptions(epochs=4, rate=5e-3, batch=2, measured=0, precision="bf16")
    made = tune(
        tiny_llava(tmp_path / "base"), tmp_path / "out", options, rows_in(tmp_path / "data")
    )
    assert made.held_out_before is not None and made.held_out_after is not None
    assert made.held_out_after < made.held_out_before and made.check.passed


# -- as processes ----------------------------------------------------------------------------------


# Adam's steps are as large for gradients that are rounding errors as for others: at a high rate the
# order in which two processes add drives losses apart.
RATE = "1e-4"


def command(base: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [
        "-m", "galago", "finetune", str(base), str(out), "--data", str(data), "--rate", RATE,
        "--epochs", "8", "--patience", "0", "--measured", "0", "--batch", "2", *more,
    ]  # fmt: skip


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_accumulation(tmp_path: Path) -> None:
    base = tiny_llava(tmp_path / "base")
    rows_in(tmp_path / "data", 12)
    one, two = tmp_path / "one", tmp_path / "two"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    # 24 rows: of a last batch that isn't whole, accelerate fills up the others' share.
    alone = command(base, tmp_path / "data", one, "--held-out", "0", "--accumulate", "2")
    subprocess.run([sys.executable, *alone], check=True, env=env)
    together = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    pair = command(base, tmp_path / "data", two, "--held-out", "0")
    subprocess.run([*together, *pair], check=True, env=env)
    assert len(losses(one)) == len(losses(two)) > 10
    assert np.allclose(losses(one), losses(two), rtol=1e-3)
