"""What a machine refuses in the middle of a training, provoked: one line, nothing lost."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from galago.errors import StorageError  # noqa: E402
from galago.train.tune import loop  # noqa: E402
from galago.train.tune.errors import FullMemoryError  # noqa: E402
from galago.train.tune.learner import Learner  # noqa: E402
from galago.train.tune.options import TuneOptions  # noqa: E402
from tests.helpers.checkpoints import tiny_llava  # noqa: E402
from tests.train.tune.test_finetune import rows_in, tune  # noqa: E402

OPTIONS = TuneOptions(epochs=4, rate=1e-3, batch=2, measured=0, patience=0)


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
        tune(base, out, OPTIONS, rows)
    assert not out.exists()
    kept = loop.last_whole(tmp_path / "out.work")
    assert kept is not None and kept.name == "checkpoint-2"
    monkeypatch.undo()
    assert tune(base, out, OPTIONS, rows).steps == 12  # the same command goes on


def test_too_little_memory_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(self: Learner, *_: Any, **__: Any) -> Any:
        return torch.empty(1 << 55)  # what the allocator really says

    rows, out = rows_in(tmp_path / "data"), tmp_path / "out"
    monkeypatch.setattr(Learner, "forward", greedy)
    with pytest.raises(FullMemoryError, match=r"lower --batch \(it is 2\).*--checkpointing"):
        tune(tiny_llava(tmp_path / "base"), out, OPTIONS, rows)
    assert not out.exists()


def test_bf16_learns_on_any_processor(tmp_path: Path) -> None:
    options = TuneOptions(epochs=4, rate=5e-3, batch=2, measured=0, precision="bf16")
    made = tune(
        tiny_llava(tmp_path / "base"), tmp_path / "out", options, rows_in(tmp_path / "data")
    )
    assert made.held_out_before is not None and made.held_out_after is not None
    assert made.held_out_after < made.held_out_before and made.check.passed
