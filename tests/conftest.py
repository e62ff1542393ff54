"""Every test runs in a world of its own: no network, no caches of the person's, no colours."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path

import pytest

from tests.albums import photo

collect_ignore = [] if importlib.util.find_spec("torch") else ["parity"]


@pytest.fixture(autouse=True)
def clean_world(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home and cache; offline, as nothing but tests of the hub's client may fetch."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GALAGO_CACHE", str(home / "galago"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    clean = ("GALAGO_ALBUMS", "GALAGO_DEBUG", "HF_HUB_CACHE", "HF_ENDPOINT")
    for name in (*clean, "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model in the published layout. Copy it before changing it."""
    from tests.checkpoints import tiny_llava

    return tiny_llava(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def ready(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, converted: opens at once."""
    from galago.checkpoints.vlm import open_checkpoint
    from galago.convert.write import convert

    folder = tmp_path_factory.mktemp("converted") / "tiny"
    convert(open_checkpoint(tiny), folder, "fp32")
    return folder


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that any model can look at."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "noise.jpg"
    Image.effect_noise((120, 90), 80).convert("RGB").save(path)
    return path


def pytest_configure() -> None:
    """Started in the background by a shell, Ctrl-C is ignored, and children would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
