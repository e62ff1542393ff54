"""Converting: whole folders or none, and none that strays from its source."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert import write as convert_module
from galago.convert.folder import FORMAT
from galago.convert.write import convert
from galago.engine import quantise
from galago.errors import SelfCheckError, StorageError


@pytest.fixture(scope="module")
def source(wide: Path) -> Checkpoint:
    return open_checkpoint(wide)


def test_converted_folder(converted: Callable[[str], Path], source: Checkpoint) -> None:
    int8 = converted("int8")
    assert sorted(path.name for path in int8.iterdir()) == [
        "galago.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    manifest = json.loads((int8 / "galago.json").read_text())
    assert manifest["format"] == FORMAT
    assert manifest["precision"]["language"] == "int8"
    assert manifest["source"] == source.identity
    check = manifest["self_check"]
    assert check["passed"] and check["positions"] == 3 * 64
    assert check["kl"] < check["bounds"]["kl"] and check["top1"] > check["bounds"]["top1"]


class Stopped:
    """A writer that fails in the middle."""

    error: BaseException = KeyboardInterrupt()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from galago.checkpoints.safetensors import SafetensorsWriter

        self._real = SafetensorsWriter(*args, **kwargs)
        self.written = 0
        self._left = 20

    def append(self, name: str, array: np.ndarray) -> None:
        self._left -= 1
        if not self._left:
            raise self.error
        self._real.append(name, array)

    def close(self) -> None:
        self._real.close()

    def abandon(self) -> None:
        self._real.abandon()


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, "full"),
        (OSError(errno.EACCES, "Permission denied"), StorageError, "cannot be written"),
    ],
)
@pytest.mark.parametrize("there", [True, False], ids=["replacing", "new"])
def test_interrupted_leaves_nothing(
    source: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    raised: type[BaseException],
    match: str | None,
    there: bool,
) -> None:
    if there:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "old").write_text("kept")
    monkeypatch.setattr(Stopped, "error", error)
    monkeypatch.setattr(convert_module, "SafetensorsWriter", Stopped)
    with pytest.raises(raised, match=match):
        convert(source, tmp_path / "out", "int8")
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["out"] if there else [])
    assert not there or (tmp_path / "out" / "old").read_text() == "kept"


def test_a_conversion_that_strays_is_refused(
    source: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scales gone wrong: refused, and kept only by force, with the figures."""
    right = quantise.int8_rows

    def wrong(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, scale = right(matrix)
        return values, scale * np.linspace(0, 2, len(scale), dtype=np.float32)[:, None]

    monkeypatch.setattr(quantise, "int8_rows", wrong)
    with pytest.raises(SelfCheckError, match="--force") as caught:
        convert(source, tmp_path / "out", "int8")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    figures = convert(source, tmp_path / "out", "int8", force=True)
    assert not figures.passed
    manifest = json.loads((tmp_path / "out" / "galago.json").read_text())
    assert manifest["self_check"]["passed"] is False
