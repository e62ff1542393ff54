"""The environment of lmms-eval: found, made, refused."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from galago.errors import GalagoError, MissingExtraError, StorageError
from galago.evaluate.vlm import environment
from galago.evaluate.vlm.environment import (
    REQUIREMENTS,
    TORCH,
    made,
    python_of,
    version_here,
    version_of,
)
from tests.helpers.places import TOP


@pytest.mark.parametrize(
    ("extra", "packages"), [("evaluate", REQUIREMENTS), ("evaluate-clip", TORCH)]
)
def test_its_requirements_are_the_extras(extra: str, packages: tuple[str, ...]) -> None:
    text = (TOP / "pyproject.toml").read_text()
    found = re.search(rf"^{extra} = \[(.*?)^\]", text, re.M | re.S)
    assert found is not None
    assert {*packages} <= {*re.findall(r'"([^"]+)"', found[1])}


def test_without_lmms_eval_a_line_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(MissingExtraError, match="--environment.*the extra evaluate"):
        version_here()


def test_an_environment_that_is_not_there(tmp_path: Path) -> None:
    assert version_of(tmp_path) is None
    python_of(tmp_path).parent.mkdir()
    python_of(tmp_path).symlink_to(sys.executable)
    assert version_of(tmp_path) in (None, "0.7.3")  # this one's, as far as it has lmms-eval


def test_it_is_not_made_over_something_else(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(StorageError, match="has something else in it"):
        made(tmp_path)


def test_two_at_once_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, waits = tmp_path / "env", threading.Event()
    steps: list[str] = []

    def do(command: Sequence[str], *_: Any) -> None:
        steps.append(command[2])
        folder.mkdir(exist_ok=True)
        assert waits.wait(60)

    monkeypatch.setattr(environment, "_do", do)
    monkeypatch.setattr(environment, "version_of", lambda _: "0.7.3" if steps else None)
    first = threading.Thread(target=made, args=(folder,))
    first.start()
    while not steps:
        time.sleep(0.01)
    told: list[str] = []

    def heard(stage: str, _: float) -> None:
        told.append(stage)
        waits.set()

    assert made(folder, heard) == "0.7.3"
    first.join(60)
    assert steps == ["venv", "pip", "pip"]
    assert told == [f"waiting for another galago that makes {folder}"]


def test_what_installs_ends_with_it(tmp_path: Path) -> None:
    """Ctrl-C and a request to end raise where it listens."""
    numbers: list[int] = []

    def heard(stage: str, _: float) -> None:
        numbers.append(int(stage))
        raise KeyboardInterrupt

    told = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        environment._do([sys.executable, "-c", told], tmp_path / "env", heard)
    with pytest.raises(OSError):
        os.kill(numbers[0], 0)


@pytest.mark.slow
def test_it_is_made_and_what_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "TORCH", ("./no-such-package",))
    folder = tmp_path / "env"
    with pytest.raises(GalagoError, match="can't be made: .*no-such-package"):
        made(folder)
    assert (folder / "pyvenv.cfg").is_file()  # and the next try goes on from there
