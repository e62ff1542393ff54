"""Trainings that are killed at random moments: the same command goes on, to the same end.

`make train-kills` kills twenty times; GALAGO_KILLS says how often.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from galago.checkpoints.safetensors import SafetensorsFile
from galago.train.tune.log import read_log
from tests.helpers.checkpoints import tiny_llava
from tests.helpers.nursery import Nursery
from tests.helpers.rows import paint

LOADED = ("torch", "transformers.trainer", "peft", "timm", "galago.train.tune.loop", "matplotlib")
KILLS = int(os.environ.get("GALAGO_KILLS", "2"))


def losses(out: Path) -> list[float]:
    return [line["loss"] for line in read_log(out) if "loss" in line]


def weights(out: Path) -> dict[str, bytes]:
    file = SafetensorsFile(out / "model.safetensors")
    return {name: tensor.read().tobytes() for name, tensor in file.tensors.items()}


def _await(out: Path, step: int, most: float) -> None:
    """Until a training is so far, or made, or `most` seconds are over."""
    end = time.monotonic() + most
    while step and not out.exists() and time.monotonic() < end:
        if len(losses(out.with_name(f"{out.name}.work"))) >= step:
            break
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_at_random_it_continues_to_the_same_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(24):
        paint(tmp_path / "data" / ("red", "green")[number % 2] / f"{number}.png", number)
    base, whole, cut = tiny_llava(tmp_path / "base"), tmp_path / "whole", tmp_path / "cut"
    options = (
        "--data", str(tmp_path / "data"), "--rate", "1e-4", "--epochs", "8", "--patience", "0",
        "--measured", "0", "--batch", "2",
    )  # fmt: skip
    rng, done, ends = np.random.default_rng(0), 0, 0
    steps: list[int] = []
    with Nursery(LOADED) as nursery:
        began = time.monotonic()
        assert nursery.start("finetune", str(base), str(whole), *options).wait() == 0
        lasted = time.monotonic() - began
        wanted, made = losses(whole), weights(whole)
        assert len(wanted) > 50
        while len(steps) < KILLS or not ends:
            running = nursery.start("finetune", str(base), str(cut), *options)
            number = signal.SIGINT if len(steps) % 3 == 2 else signal.SIGKILL
            # One that was killed behind its last step may end.
            if len(steps) < KILLS and done < len(wanted):
                # Every fifth while it starts; else within the next quarter of the steps.
                ahead = int(rng.integers(1, len(wanted) // 4)) if rng.random() > 0.2 else 0
                _await(cut, min(done + ahead, len(wanted)) if ahead else 0, 5 * lasted)
                time.sleep(float(rng.random()) * 0.1)
                running.kill(number)
            code = running.wait()
            if code == 0:  # here is the proof, and another one begins
                ends += 1
                assert losses(cut) == wanted
                assert weights(cut) == made
                assert not cut.with_name("cut.work").exists()
                shutil.rmtree(cut)
                done = 0
                continue
            assert code == (130 if number == signal.SIGINT else -number)
            done = len(losses(cut.with_name("cut.work")))
            steps.append(done)
    with capsys.disabled():
        print(
            f"\n{len(steps)} kills at steps {steps} of {len(wanted)}, {ends} trainings ended alike"
        )
