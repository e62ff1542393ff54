"""A model in shards (FSDP2) over two gloo processes learns what one process does (needs torch)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from galago.checkpoints.tensors import read_float  # noqa: E402
from galago.checkpoints.vlm import open_checkpoint  # noqa: E402
from galago.errors import OptionError  # noqa: E402
from galago.train.tune.options import TuneOptions  # noqa: E402
from galago.train.tune.shards import any_of_us, check_shards  # noqa: E402
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava  # noqa: E402
from tests.helpers.tunings import losses, rows_in, tune  # noqa: E402

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
PAIR = ("-m", "torch.distributed.run", "--nproc-per-node", "2")


def command(tmp_path: Path, out: str, *more: str) -> list[str]:
    # 24 rows: of a last batch that isn't whole, accelerate fills up the others' share.  At a high
    # rate the order in which two processes add would drive losses apart.
    return [
        sys.executable, *(PAIR if "--fsdp" in more else ()), "-m", "galago", "finetune",
        str(tmp_path / "base"), str(tmp_path / out), "--data", str(tmp_path / "data"),
        "--rate", "1e-4", "--batch", "2", "--held-out", "0", *more,
    ]  # fmt: skip


def run(tmp_path: Path, out: str, *more: str) -> str:
    asked = command(tmp_path, out, *more)
    ran = subprocess.run(asked, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [("--adapter",), ("--full", "--parts", "projector,decoder,vision")]
)
def test_two_shards_are_one_process_with_twice_the_accumulation(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    tiny_fast_vlm(tmp_path / "base", dtype="F32")
    rows_in(tmp_path / "data", 12)
    run(tmp_path, "one", "--max-steps", "8", "--accumulate", "2", *more)
    run(tmp_path, "two", "--max-steps", "8", "--fsdp", "--keep", *more)
    assert len(losses(tmp_path / "two")) == 8
    assert np.allclose(losses(tmp_path / "one"), losses(tmp_path / "two"), rtol=1e-5)
    # that it was in shards, and not by DDP: each process kept its own part of the optimizer
    kept = tmp_path / "two.work" / "checkpoint-8" / "optimizer_0"
    assert len(list(kept.glob("*.distcp"))) == 2
    one, two = (open_checkpoint(tmp_path / name) for name in ("one", "two"))
    for name, tensor in one.tensors.items():
        other = read_float(two.tensors[name])
        # Adam moves what has hardly a gradient by its sign: by a rate at most, eight times
        assert np.allclose(read_float(tensor), other, atol=1e-3), name


@pytest.mark.slow
def test_shards_continue_to_the_same_end(tmp_path: Path) -> None:
    tiny_llava(tmp_path / "base")
    rows_in(tmp_path / "data", 12)
    run(tmp_path, "whole", "--fsdp", "--epochs", "4")
    running = subprocess.Popen(command(tmp_path, "cut", "--fsdp", "--epochs", "4"), env=ENVIRONMENT)
    log = tmp_path / "cut.work" / "training.jsonl"
    while running.poll() is None and not (log.exists() and log.read_text().count("\n") > 4):
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)  # which torchrun hands on
    running.wait()
    assert not (tmp_path / "cut").exists()
    checkpoint = max(map(str, (tmp_path / "cut.work").glob("checkpoint-*/whole")))
    run(tmp_path, "cut", "--fsdp", "--epochs", "4")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole"), checkpoint
    one, two = (open_checkpoint(tmp_path / name) for name in ("whole", "cut"))
    for name, tensor in one.tensors.items():
        assert (read_float(tensor) == read_float(two.tensors[name])).all(), name


def test_alone_there_is_nothing_to_divide(tmp_path: Path) -> None:
    rows = rows_in(tmp_path / "data")
    with pytest.raises(OptionError, match="--fsdp divides the model among several processes"):
        tune(tiny_llava(tmp_path / "base"), tmp_path / "out", TuneOptions(fsdp=True), rows)


def test_the_fsdp_that_torch_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(OptionError, match="--fsdp_version 2"):
        check_shards(2)


def test_alone_one_decides() -> None:
    assert any_of_us(True, torch.device("cpu")) and not any_of_us(False, torch.device("cpu"))
