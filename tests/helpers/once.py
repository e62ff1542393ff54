"""Folders that are made once for a whole run, whatever the number of processes that test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from galago.disk import whole_folder


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of this name, filled by `make` if no process has done so yet."""
    own = factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with FileLock(root / f"{name}.lock"):
        if not (root / name).exists():
            with whole_folder(root / name) as folder:
                make(folder)
    return root / name
