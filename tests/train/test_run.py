"""The trainer of the embedded models as a command: what a person can mend is one line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from galago.train.nano.__main__ import main


def test_without_torch_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["nano", "--help"])
    assert main() == 2
    told = capsys.readouterr().err
    assert told.startswith("galago: training needs torch") and "extra train: " in told
    assert told.count("\n") == 1


def test_no_shards_is_a_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("open_clip")
    monkeypatch.setattr(sys, "argv", [
        "nano", "any.toml", "--data", str(tmp_path / "nowhere"), "--packages", str(tmp_path),
        "--out", str(tmp_path / "out"),
    ])  # fmt: skip
    assert main() == 2
    assert "holds no shards (NAME.tar)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
