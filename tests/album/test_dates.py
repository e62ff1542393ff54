"""Days on which photos were taken: kept with new ones, looked for in albums from before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from galago.album import Store, index
from galago.album.indexing import IndexOptions
from galago.media.images import date_taken
from tests.helpers.albums import FakeEmbedder, check, dated, photo, update


def dates(album: Path) -> list[str | None]:
    with Store.open(album) as store:
        return [taken for (taken,) in store.db.execute("SELECT taken FROM vectors ORDER BY row")]


def from_before(album: Path) -> None:
    """As an older galago left it."""
    with Store.open(album, write=True) as store:
        store.db.execute("UPDATE vectors SET taken = NULL")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for number in range(1, 6):
        dated(tmp_path / "p" / f"{number}.jpg", f"2025:06:0{number} 10:00:00", (number * 40, 0, 0))
    photo(tmp_path / "p" / "z.png")
    update(tmp_path / "a", tmp_path / "p")
    return tmp_path / "a"


TAKEN = [*(f"2025-06-0{number} 10:00:00" for number in range(1, 6)), ""]


def test_a_new_photos_day_is_kept(album: Path) -> None:
    assert dates(album) == TAKEN
    check(album)


def test_an_album_from_before_gets_them_without_encoding(album: Path) -> None:
    from_before(album)
    model, told = FakeEmbedder(), list[tuple[str, int, int]]()
    update(album, model=model, report=lambda *one: told.append(one))
    assert dates(album) == TAKEN and model.encoded == model.prepared == 0
    assert ("looking for dates", 0, 6) in told and ("looking for dates", 6, 6) in told
    told.clear()
    update(album, report=lambda *one: told.append(one))
    assert not any(stage == "looking for dates" for stage, *_ in told)


def test_what_is_not_as_it_was_is_left_for_another_time(album: Path) -> None:
    from_before(album)
    folder = album.parent / "p"
    hidden = folder / "1.jpg"
    content = hidden.read_bytes()
    os.rename(folder, folder.with_name("away"))  # a disk that isn't plugged in

    def looked(path: str) -> str:
        raise AssertionError(path)

    other = photo(album.parent / "q" / "new.png", "blue")
    index(album, [other.parent], FakeEmbedder, source="fake", date_taken=looked)
    assert dates(album)[:6] == [None] * 6
    os.rename(folder.with_name("away"), folder)
    hidden.write_bytes(content[:-1])  # changed since: noted as it is, and dated with its pixels
    update(album, folder)
    assert None not in dates(album)[1:]


def test_a_stop_keeps_what_was_looked_at(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_before(album)
    monkeypatch.setattr("galago.album.dates._AT_ONCE", 2)
    seen: list[str] = []

    def stopping(path: str) -> str:
        seen.append(path)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return date_taken(path)

    options = IndexOptions(workers=1)
    with pytest.raises(KeyboardInterrupt):
        index(album, [], FakeEmbedder, source="fake", options=options, date_taken=stopping)
    assert dates(album) == [*TAKEN[:3], None, None, None]
    update(album)
    assert dates(album) == TAKEN


def test_a_picture_without_a_readable_date_is_not_asked_again(album: Path) -> None:
    from_before(album)

    def broken(path: str) -> str:
        from galago.errors import ImageError

        raise ImageError("damaged")

    index(album, [], FakeEmbedder, source="fake", date_taken=broken)
    assert dates(album) == [""] * 6
