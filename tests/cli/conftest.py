"""What several verbs are shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from galago.clip.mobileclip import MobileCLIP
from galago.hub.resolve import Name
from galago.progress import Progress
from galago.vlm import loading
from tests.helpers.albums import Models, photo
from tests.helpers.commandline import run
from tests.helpers.videos import shots, write_video

_CPU = loading.Where()


@pytest.fixture(autouse=True)
def opened_once(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small model is opened once a process; here matters what verbs do with it."""
    real = loading.load_parts

    def load(
        name: Name,
        precision: str,
        offline: bool | None,
        threads: int | None,
        progress: Progress,
        where: loading.Where = _CPU,
    ) -> loading.Parts:
        if name != str(ready) or precision != "auto" or where.devices() is not None:
            return real(name, precision, offline, threads, progress, where)
        if threads not in _OPENED:
            _OPENED[threads] = real(name, precision, offline, threads, progress)
        return _OPENED[threads]

    monkeypatch.setattr(loading, "load_parts", load)


_OPENED: dict[int | None, loading.Parts] = {}


@pytest.fixture
def pages(tmp_path: Path, picture: Path) -> Path:
    """A folder with pictures whose names sort differently by letters and by numbers."""
    folder = tmp_path / "pages"
    (folder / "deeper").mkdir(parents=True)
    for name in ("page10.jpg", "page2.JPG", "page1.jpg", ".hidden.jpg", "deeper/page3.jpg"):
        shutil.copy(picture, folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three views, three seconds each."""
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", shots([1, 2, 3], 30))


@pytest.fixture(scope="session")
def half(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "half.mp4"
    data = clip.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return path


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Models:
    """What the verbs of albums open, and the albums they know: none yet."""
    found = Models()
    monkeypatch.setattr(MobileCLIP, "load", found.load)
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    return found


@pytest.fixture
def photos(tmp_path: Path, models: Models) -> Path:
    """Forty-five pictures, red and blue ones and green ones."""
    for colour in ("red", "blue", "green"):
        for seed in range(15):
            photo(tmp_path / "photos" / colour / f"{seed}.png", colour, seed)
    return tmp_path / "photos"


@pytest.fixture
def indexed(capsys: pytest.CaptureFixture[str], photos: Path) -> Path:
    assert run(capsys, "index", photos).code == 0
    return photos
