"""The album of a server that runs on while albums are made, damaged and indexed anew."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from galago.album import Guide, album_folder
from galago.album.names import DATABASE
from galago.cli import desk as room
from galago.cli.desk import AlbumDesk
from galago.errors import GalagoError, OptionError, StorageError
from galago.media.pool import PicturePool
from tests.helpers.albums import FakeEmbedder, photo, update


class Opening:
    """Opens fakes."""

    def __init__(self, source: str = "mobileclip2-nano", **_: Any) -> None:
        self.source = source

    def name(self) -> str:
        return self.source

    def load(self, pool: PicturePool) -> FakeEmbedder:
        if self.source == "gone":
            raise StorageError("the model is gone")
        return FakeEmbedder("fake-1")


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    monkeypatch.setattr(room, "ClipOpening", Opening)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    photo(tmp_path / "photos" / "a.png", "red")
    return tmp_path / "photos"


def desk(name: str | None = None) -> AlbumDesk:
    return AlbumDesk(name, None, PicturePool(), threads=None, offline=True)


def found(guide: Guide | None) -> list[str]:
    assert guide is not None
    return [Path(one.path).name for one in guide.find(["red"])]


def test_an_album_that_is_made_later_is_opened_once(photos: Path) -> None:
    one = desk()
    assert one.guide() is None and one.refusal is None
    update(album_folder(), photos)
    guide = one.guide()
    assert found(guide) == ["a.png"] and one.guide() is guide


def test_a_named_album_must_be_there() -> None:
    with pytest.raises(OptionError, match="galago index"):
        desk("nowhere")


@pytest.mark.parametrize("before", [True, False])
def test_a_damaged_album_is_told_not_tried_each_time(
    photos: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    tries: list[int] = []
    opened = AlbumDesk._open

    def counted(self: AlbumDesk) -> Guide:
        tries.append(1)
        return opened(self)

    monkeypatch.setattr(AlbumDesk, "_open", counted)
    database = album_folder() / DATABASE
    one = None if before else desk()
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database at all" * 100)
    one = one or desk()
    for _ in range(3):
        with pytest.raises(StorageError, match="album"):
            one.guide()
    assert len(tries) == (0 if before else 1) and one.refusal
    database.unlink()
    update(album_folder(), photos)
    with pytest.raises(StorageError):
        one.guide()  # a moment ago it was so
    monkeypatch.setattr(room, "_AGAIN", -1)
    assert found(one.guide()) == ["a.png"] and one.refusal is None


def test_an_album_that_was_indexed_anew_is_opened_anew(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(album_folder(), photos)
    one = desk()
    before = one.guide()
    update(album_folder(), photos)
    assert one.guide() is before  # by the same model
    monkeypatch.setattr(Opening, "load", lambda *_: FakeEmbedder("fake-2"))
    update(album_folder(), model=FakeEmbedder("fake-2"), fresh=True)
    after = one.guide()
    assert found(after) == ["a.png"] and after is not before
    assert before is not None
    with pytest.raises(OptionError, match="indexed anew"):
        before.find(["red"])


def test_an_album_that_was_deleted_and_made_anew(photos: Path) -> None:
    update(album_folder(), photos)
    one = desk()
    before = one.guide()
    assert found(before) == ["a.png"]
    gc.collect()
    for path in album_folder().iterdir():
        path.unlink()
    assert one.guide() is None
    photo(photos / "b.png", "red", 1)
    update(album_folder(), photos)
    assert sorted(found(one.guide())) == ["a.png", "b.png"]


def test_a_model_that_is_gone_does_not_stop_the_server(photos: Path) -> None:
    from galago.album import index

    index(album_folder(), [photos], FakeEmbedder, source="gone")
    one = desk()
    assert one.clip.name == "fake" and one.refusal == "the model is gone"
    with pytest.raises(GalagoError, match="the model is gone"):
        one.guide()
    with pytest.raises(GalagoError, match="the model is gone"):
        desk("default")
