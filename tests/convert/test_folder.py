"""Converted folders that are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from galago.convert.load import load_sessions
from galago.errors import CheckpointError


@pytest.fixture
def copy(converted: Callable[[str], Path], tmp_path: Path) -> Path:
    shutil.copytree(converted("int8"), tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 99}, "another version"),
        ({"precision": {"x": 1}}, "damaged"),
        ({"spec": {}}, "damaged"),
    ],
)
def test_damaged_manifest(copy: Path, change: dict[str, Any], match: str) -> None:
    path = copy / "galago.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=match):
        load_sessions(copy)


def test_damaged_weights(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="cut short"):
        load_sessions(copy)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"lacks model\.safetensors"):
        load_sessions(copy)
