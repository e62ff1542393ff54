"""What is written in photos: read once a content, kept at once, and by later runs as well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from galago.album import IndexOptions, Store, Summary
from galago.album import index as index_folders
from galago.album.texts import find
from galago.album.transcripts import READ
from galago.errors import ImageError, StorageError
from galago.media.images import Source
from tests.helpers.albums import FakeEmbedder, photo


class FakeReader:
    """Reads the name of a file; notes which ones."""

    def __init__(self, name: str = "reader-1", stop_after: int | None = None) -> None:
        self.name = name
        self.stop_after = stop_after
        self.asked: list[str] = []
        self.seen: list[str] = []

    def __call__(self, name: str) -> FakeReader:
        self.asked.append(name)
        return self

    def prepare(self, picture: Source) -> Any:
        path = Path(os.fspath(picture))  # type: ignore[arg-type]
        if "bad" in path.name:
            raise ImageError(f"{path} is damaged")
        return path

    def read(self, picture: Path) -> str:
        if len(self.seen) == self.stop_after:
            raise KeyboardInterrupt
        self.seen.append(picture.stem)
        return "" if "plain" in picture.stem else f"sign {picture.stem}"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("exit", "plain", "stop", "taxi")):
        photo(tmp_path / "photos" / f"{name}.png", "red", seed)
    return tmp_path / "photos"


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return tmp_path / "album"


def _index(album: Path, opened: FakeReader | None, *folders: Path, **options: Any) -> Summary:
    return index_folders(
        album, folders, FakeEmbedder, source="fake", options=IndexOptions(**options), reader=opened
    )


def _words(album: Path, query: str) -> list[str]:
    with Store.open(album) as store:
        return [found.text for found in find(store, query, 9)]


def test_photos_are_read_once_and_new_ones_later(album: Path, photos: Path) -> None:
    first = FakeReader()
    done = _index(album, first, photos, read=True).transcribed
    assert done is not None and (done.read, done.written, done.model) == (4, 3, "reader-1")
    assert sorted(first.seen) == ["exit", "plain", "stop", "taxi"]
    assert _words(album, "exit") == ["sign exit"]
    again = FakeReader()
    assert _index(album, again).transcribed is None and again.asked == []  # it isn't even opened
    photo(photos / "new.png", "blue", 9)
    photo(photos / "copy.png", "red", 0)  # of what was read
    assert _index(album, again).transcribed is not None and again.seen == ["new"]


def test_nobody_reads_unless_asked(album: Path, photos: Path) -> None:
    reader = FakeReader()
    assert _index(album, reader, photos).transcribed is None and reader.asked == []
    _index(album, reader, read=True, reader="my-model")
    photo(photos / "new.png", "blue", 9)
    assert _index(album, reader, read=False).transcribed is None
    assert _index(album, reader).transcribed is None
    assert reader.asked == ["my-model"]
    _index(album, reader, read=True)
    assert reader.asked == ["my-model", ""] and reader.seen[-1] == "new"


def test_stopping_keeps_what_was_read(album: Path, photos: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _index(album, FakeReader(stop_after=2), photos, read=True)
    with Store.open(album) as store:
        assert store.count(READ) == 2
    rest = FakeReader()
    _index(album, rest)
    assert len(rest.seen) == 2


def test_only_the_folders_of_the_run_are_read(album: Path, photos: Path, tmp_path: Path) -> None:
    _index(album, None, photos)
    photo(tmp_path / "more" / "other.png", "green", 7)
    reader = FakeReader()
    _index(album, reader, tmp_path / "more", read=True)
    assert reader.seen == ["other"]


def test_what_cannot_be_opened_is_told_and_tried_again(album: Path, photos: Path) -> None:
    photo(photos / "bad.png", "green", 5)
    done = _index(album, FakeReader(), photos, read=True).transcribed
    assert done is not None and done.read == 4 and "is damaged" in done.unread[0][1]
    again = _index(album, FakeReader()).transcribed
    assert again is not None and len(again.unread) == 1


def test_which_models_read_is_known(album: Path, photos: Path) -> None:
    _index(album, FakeReader(), photos, read=True)
    photo(photos / "new.png", "blue", 9)
    done = _index(album, FakeReader("reader-2")).transcribed
    assert done is not None and done.others == ["reader-1"]
    whole = _index(album, FakeReader("reader-2"), fresh=True).transcribed
    assert whole is not None and whole.read == 5 and whole.others == []


def test_a_photo_that_changed_meanwhile_waits(album: Path, photos: Path) -> None:
    def changes(name: str) -> FakeReader:
        (photos / "exit.png").write_bytes(b"something else")
        return reader

    reader = FakeReader()
    _index(album, changes, photos, read=True)  # type: ignore[arg-type]
    assert sorted(reader.seen) == ["plain", "stop", "taxi"]


def test_a_full_disk_keeps_what_was_read(
    album: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from galago.album import transcripts

    kept = transcripts._keep

    def keep(store: Store, digest: bytes, text: str, model: str) -> None:
        if store.count(READ) == 2:
            raise sqlite3.OperationalError("database or disk is full")
        kept(store, digest, text, model)

    monkeypatch.setattr(transcripts, "_keep", keep)
    with pytest.raises(StorageError, match="full: make room and run the same command"):
        _index(album, FakeReader(), photos, read=True)
    monkeypatch.undo()
    rest = FakeReader()
    _index(album, rest)
    assert len(rest.seen) == 2
