"""A server on fakes for the tests of this room."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.serving import Served, serving

collect_ignore_glob = [] if importlib.util.find_spec("fastapi") else ["test_*.py"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder) as one:
        yield one
