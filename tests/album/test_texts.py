"""Words of photos: kept with their content, found whole, by their beginnings and in Chinese."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from galago.album import Searcher, Store
from galago.album.store import write_lock
from galago.album.texts import TextKind, find, text_of, write
from galago.album.write import Writer, forget
from galago.errors import StorageError
from tests.helpers.albums import FakeEmbedder, photo, update


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for seed, colour in enumerate(("red", "green", "blue")):
        photo(tmp_path / "photos" / f"{colour}.png", colour, seed)
    update(tmp_path / "album", tmp_path / "photos")
    return tmp_path / "album"


def _digest(store: Store, name: str) -> bytes:
    for row in range(store.count("vectors")):
        if any(one.path.endswith(name.encode()) for one in store.photos_of(row)):
            return store.digest_of(row)
    raise AssertionError(name)


def _keep(album: Path, texts: dict[str, str], kind: TextKind = "read") -> None:
    with write_lock(album), Store.open(album, write=True) as store, store.transaction():
        for name, text in texts.items():
            write(store, _digest(store, name), kind, text)


def _found(album: Path, query: str) -> list[str]:
    with Store.open(album) as store:
        rows = [one.row for one in find(store, query, 10)]
        return [Path(store.photos_of(row)[0].path.decode()).stem for row in rows]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("invoice", ["red"]),
        ("INVOICES", []),
        ("total invoice", ["red"]),
        ("invoice march", []),
        ("inv", ["red"]),
        ("in", []),  # too short for a beginning
        ("café", ["green"]),
        ("CAFE\u0301", ["green"]),  # as a Mac writes it
        ("出口", ["blue"]),
        ("口紧急", ["blue"]),
        ("出急", []),  # not as it stands
        ("１２.50", ["red"]),  # full-width digits
        ("", []),
        ("!?", []),
        ('" OR *', []),
        ("NEAR(invoice)", []),
        ("words:invoice", []),
        ("total OR entrance", []),
    ],
)
def test_all_words_must_be_there(album: Path, query: str, names: list[str]) -> None:
    texts = {
        "red.png": "Invoice 2041\nTotal: 12.50",
        "green.png": "Entrance, Café",
        "blue.png": "出口紧急",
    }
    _keep(album, texts)
    assert _found(album, query) == names


def test_an_album_without_texts_has_none_to_find(album: Path) -> None:
    assert _found(album, "invoice") == []


def test_a_newer_text_takes_the_place_of_the_old(album: Path) -> None:
    _keep(album, {"red.png": "first"})
    _keep(album, {"red.png": "second"})
    _keep(album, {"red.png": "a caption"}, "caption")
    assert (_found(album, "first"), _found(album, "second")) == ([], ["red"])
    assert _found(album, "caption") == ["red"]
    with Store.open(album) as store:
        assert text_of(store, _digest(store, "red.png"), "read") == "second"
        assert text_of(store, _digest(store, "blue.png"), "read") is None


def test_texts_go_with_what_is_forgotten(album: Path, tmp_path: Path) -> None:
    _keep(album, {"red.png": "Invoice"})
    with write_lock(album), Store.open(album, write=True) as store:
        forget(store, str(tmp_path / "photos"))
        assert store.count("texts") == 0
        assert store.db.execute("SELECT count(*) FROM words").fetchone() == (0,)
    assert b"invoice" not in (album / "album.sqlite").read_bytes().lower()


def test_texts_of_photos_that_are_gone_are_not_found(album: Path, tmp_path: Path) -> None:
    _keep(album, {"red.png": "Invoice"})
    (tmp_path / "photos" / "red.png").unlink()
    update(album)
    assert _found(album, "invoice") == []


def test_rows_that_move_keep_their_texts(album: Path, tmp_path: Path) -> None:
    _keep(album, {"red.png": "one", "green.png": "two", "blue.png": "three"})
    (tmp_path / "photos" / "green.png").unlink()
    update(album)
    with write_lock(album), Store.open(album, write=True) as store, Writer(store) as writer:
        assert writer.compact(before=2e9 * 2) == 1
    assert [_found(album, word) for word in ("one", "two", "three")] == [["red"], [], ["blue"]]


def test_an_album_made_anew_has_no_texts(album: Path, tmp_path: Path) -> None:
    from galago.album import IndexOptions
    from galago.album import index as index_folders

    _keep(album, {"red.png": "Invoice"})
    index_folders(album, [], FakeEmbedder, source="fake", options=IndexOptions(fresh=True))
    with Store.open(album) as store:
        assert store.count("texts") == 0
    _keep(album, {"red.png": "again"})
    assert _found(album, "again") == ["red"]


def test_a_strangers_index_is_refused(album: Path) -> None:
    connection = sqlite3.connect(album / "album.sqlite")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(body, content = 'photos')")
    connection.close()
    with pytest.raises(StorageError, match="odd values"), Searcher(album):
        pass
