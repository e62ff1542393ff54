"""Every test runs in a world of its own: no network, no caches of the person's, no colours."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.albums import photo
from tests.helpers.once import once

if TYPE_CHECKING:
    from galago.text.tokens import Tokenizer

collect_ignore = [] if importlib.util.find_spec("torch") else ["parity"]


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled graphs of models that many tests open are kept."""
    return once(tmp_path_factory, "graphs", lambda folder: None)


@pytest.fixture(autouse=True)
def clean_world(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, graphs: Path
) -> Path:
    """An empty home and cache, but for compiled graphs, which are the same whoever made them.

    Offline, as nothing but tests of the hub's client may fetch.
    """
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GALAGO_CACHE", str(home / "galago"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    clean = (
        "GALAGO_ALBUMS",
        "GALAGO_DEBUG",
        "HF_HUB_CACHE",
        "HF_ENDPOINT",
        "GALAGO_CONFIG",
        "GALAGO_MODEL",
        "GALAGO_CLIP",
        "XDG_CONFIG_HOME",
    )
    for name in (*clean, "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    (home / "galago").mkdir()
    with contextlib.suppress(OSError):  # where links need rights, each test makes its own
        (home / "galago" / "graphs").symlink_to(graphs)
    return home


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model in the published layout. Copy it before changing it."""
    from tests.helpers.checkpoints import tiny_llava

    return once(tmp_path_factory, "tiny", tiny_llava)


@pytest.fixture(scope="session")
def ready(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, converted: opens at once."""
    from galago.checkpoints.vlm import open_checkpoint
    from galago.convert.write import convert

    source = open_checkpoint(tiny)
    return once(tmp_path_factory, "ready", lambda to: convert(source, to / "tiny", "fp32")) / "tiny"


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose layers are wide enough for every precision. Copy it before changing it."""
    from tests.helpers.checkpoints import WIDE_TEXT, tiny_llava

    return once(tmp_path_factory, "wide", lambda folder: tiny_llava(folder, text=WIDE_TEXT))


@pytest.fixture(scope="session")
def converted(wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The same, converted to a precision. Copy a folder before changing it."""
    from galago.checkpoints.vlm import open_checkpoint
    from galago.convert.write import convert

    def made(precision: str) -> Path:
        def make(to: Path) -> None:  # forced, as random weights don't bear four bits
            convert(open_checkpoint(wide), to / "wide", precision, force=True)

        return once(tmp_path_factory, f"wide-{precision}", make) / "wide"

    return cache(made)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random MobileCLIP. Copy it before changing it."""
    from tests.helpers.clips import tiny_clip

    return once(tmp_path_factory, "tiny-clip", tiny_clip)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that any model can look at."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "noise.jpg"
    Image.effect_noise((120, 90), 80).convert("RGB").save(path)
    return path


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A small vocabulary in Qwen2's files."""
    from tests.helpers.fakes import fake_tokenizer

    return fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def pytest_configure() -> None:
    # Started in the background by a shell, Ctrl-C is ignored, and children would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # An engine takes every core that it sees, and several would wait for each other: one a worker.
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Where an album of the test may lie; it is not made."""
    return tmp_path / "albums" / "mine"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten different pictures in two folders."""
    folder = tmp_path / "photos"
    for seed in range(10):
        photo(folder / ("in" if seed % 2 else "") / f"p{seed}.png", "red", seed)
    return folder
