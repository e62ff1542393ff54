"""Loading: same answers from disk as from memory, wherever the folder lies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.load import load_sessions
from galago.convert.selfcheck import BOUNDS
from galago.engine.vlm_sessions import Sessions
from galago.errors import OptionError
from tests.helpers.running import answer


@pytest.fixture(scope="module")
def source(wide: Path) -> Checkpoint:
    return open_checkpoint(wide)


def same(a: Sessions, b: Sessions) -> None:
    for left, right in zip(answer(a), answer(b), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_converted_is_loaded_directly_wherever_it_is_moved(
    source: Checkpoint, converted: Callable[[str], Path], tmp_path: Path, precision: str
) -> None:
    """A converted folder is all that is needed."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(converted(precision), moved)
    sessions = load_sessions(moved, precision)
    assert sessions.spec == source.spec
    assert sessions.precision.language == precision
    same(sessions, load_sessions(source, precision))
    # Features are held to the bound even where random int4 weights blur the next words.
    figures = json.loads((moved / "galago.json").read_text())["self_check"]
    assert figures["cosine_min"] > BOUNDS[precision].cosine_min


def test_loading_writes_nothing(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny, folder)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    load_sessions(folder, threads=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_another_precision_must_be_converted_again(converted: Callable[[str], Path]) -> None:
    with pytest.raises(OptionError, match="converted to int8"):
        load_sessions(converted("int8"), "int4")
