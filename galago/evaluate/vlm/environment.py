"""The environment that lmms-eval lives in: galago's own, or a second one, as some versions that it
needs don't go together with those of other extras (av below 16 beside `video`)."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from galago.disk import one_at_a_time
from galago.errors import GalagoError, MissingExtraError, StorageError
from galago.evaluate.vlm.processes import last_words, started
from galago.progress import Progress, Stage, silent

__all__ = ["REQUIREMENTS", "TORCH", "made", "python_of", "version_here", "version_of"]

# What the extra `evaluate` has for this; lmms-eval imports a private module that filelock 4 hasn't.
REQUIREMENTS = ("filelock>=3.13,<4", "lmms-eval>=0.7.3,<0.8")
# Before them: pip keeps a pair that is there and looks for the rest beside it.
TORCH = ("torch>=2.6", "torchvision>=0.21")
_MARK = "galago-evaluate"  # in an environment that was begun here
_ASK = "import importlib.metadata as m; print(m.version('lmms-eval'))"


def version_here() -> str:
    """lmms-eval's version in this environment; MissingExtraError where it isn't there."""
    try:
        return importlib.metadata.version("lmms-eval")
    except importlib.metadata.PackageNotFoundError:
        what = "lmms-eval asks the questions (or give it an environment of its own: --environment)"
        raise MissingExtraError(what, "evaluate") from None


def python_of(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def version_of(folder: Path) -> str | None:
    """lmms-eval's version in an environment; None where it isn't there."""
    try:
        asked = subprocess.run([python_of(folder), "-c", _ASK], capture_output=True, text=True)
    except OSError:
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None


def made(folder: Path, progress: Progress = silent) -> str:
    """Make an environment with lmms-eval in a folder, which takes minutes and gigabytes: its
    version; where another process makes it, its own is awaited.

    StorageError for a folder with something else in it, GalagoError where it can't be installed.
    """
    wait = Stage(f"waiting for another galago that makes {folder}", lasting=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(folder.with_name(f".{folder.name}.lock"), lambda: progress(wait, 0.0)):
            return version_of(folder) or _made(folder, progress)
    except OSError as error:
        raise StorageError(f"{folder} can't be made: {error.strerror}") from None


def _made(folder: Path, progress: Progress) -> str:
    mark = folder / _MARK
    if folder.is_dir() and any(folder.iterdir()) and not mark.is_file():
        # Another's environment would get other versions of what it has.
        raise StorageError(f"--environment {folder} has something else in it: name a new folder")
    progress(Stage(f"installing lmms-eval into {folder} (once, some minutes)", lasting=True), 0.0)
    _do([sys.executable, "-m", "venv", str(folder)], folder, progress)
    mark.touch()
    install = [str(python_of(folder)), "-m", "pip", "install", "--disable-pip-version-check"]
    _do([*install, *TORCH], folder, progress)
    _do([*install, *REQUIREMENTS], folder, progress)
    version = version_of(folder)
    if version is None:
        raise GalagoError(f"lmms-eval isn't in {folder} after all: remove it and try again")
    return version


def _do(command: list[str], folder: Path, progress: Progress) -> None:
    """A step, its words in a log beside the environment; it ends with this process."""
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as sink, started(command, folder.parent, os.environ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sink.write(line)
            progress(Stage(line.decode("utf-8", "replace").strip()), 0.0)
        code = process.wait()
    if code:
        raise GalagoError(f"{folder} can't be made: {last_words(log)} ({log})")
