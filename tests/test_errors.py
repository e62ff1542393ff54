"""The line that installs a missing extra works where galago runs, and names nothing of others."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys
from pathlib import Path

import pytest

from galago import errors
from galago.errors import MissingExtraError, install_line

LISTED = [
    "numpy>=1.26",
    "av>=16; extra == 'video'",
    "fastapi>=0.115; extra == 'serve'",
    "uvicorn>=0.30; extra == 'serve'",
    "wordfreq>=3; extra == 'all'",
    "galago[serve,video]; extra == 'all'",
    "old>=1; (python_version < '3') and extra == 'serve'",
]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment of its own, in which a galago with these packages is installed."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: LISTED)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "galago"))
    (tmp_path / "galago").mkdir()
    return tmp_path / "galago"


def test_an_extra_is_installed_by_its_packages_names() -> None:
    python = shlex.quote(sys.executable)
    assert install_line("video") == f"{python} -m pip install 'av>=16'"
    assert install_line("serve") == f"{python} -m pip install 'fastapi>=0.115' 'uvicorn>=0.30'"


def test_an_extra_of_extras_never_names_galago_itself() -> None:
    wanted = "install 'wordfreq>=3' 'fastapi>=0.115' 'uvicorn>=0.30' 'av>=16'"
    assert install_line("all").endswith(wanted)  # on an index its name would be somebody else's


def test_a_shell_reads_the_line_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/home/Ann's own/python")
    assert shlex.split(install_line("video"))[0] == "/home/Ann's own/python"
    monkeypatch.setattr(errors, "_WINDOWS", True)
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\python.exe")
    assert install_line("video") == r'"C:\Program Files\python.exe" -m pip install "av>=16"'


def test_environments_of_other_tools(monkeypatch: pytest.MonkeyPatch, installed: Path) -> None:
    real = importlib.util.find_spec
    with monkeypatch.context() as patch:
        patch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "pip" else real(name)
        )
        uv = f"uv pip install --python {shlex.quote(sys.executable)} 'av>=16'"
        assert install_line("video") == uv
    (installed / "pipx_metadata.json").touch()
    assert install_line("video") == "pipx inject galago 'av>=16'"


def test_without_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", absent)
    assert install_line("video") == "pip install '.[video]' in galago's own folder"


def test_the_error_says_it_and_can_be_told_without() -> None:
    error = MissingExtraError("a.heic is a HEIC picture", "video")
    assert str(error) == f"{error.what}; to install the extra video: {install_line('video')}"
    assert sys.executable not in error.what and error.extra == "video"
