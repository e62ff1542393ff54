"""The environment of lmms-eval: found, made, refused."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from galago.errors import GalagoError, MissingExtraError, StorageError
from galago.evaluate.vlm import environment
from galago.evaluate.vlm.environment import REQUIREMENTS, made, python_of, version_here, version_of
from tests.helpers.places import TOP


def test_its_requirements_are_the_extras() -> None:
    extra = re.search(r"^evaluate = \[(.*?)^\]", (TOP / "pyproject.toml").read_text(), re.M | re.S)
    assert extra is not None
    assert {*REQUIREMENTS} <= {*re.findall(r'"([^"]+)"', extra[1])}


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


@pytest.mark.slow
def test_it_is_made_and_what_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "REQUIREMENTS", ("./no-such-package",))
    folder = tmp_path / "env"
    with pytest.raises(GalagoError, match="can't be made: .*no-such-package"):
        made(folder)
    assert (folder / "pyvenv.cfg").is_file()  # and the next try goes on from there
