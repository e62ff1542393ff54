"""An album becomes a table and a table an album: nothing is encoded, lost or twice."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.album import Store
from galago.errors import OptionError
from galago.scale.albums import export_album, import_table
from galago.scale.rows import Made, Row
from tests.helpers.albums import (
    POSIX,
    FakeEmbedder,
    check,
    dated,
    paths_in,
    photo,
    say,
    update,
    vector_of,
)
from tests.helpers.readers import FakeReader, as_records, made_by, read_rows, table_row
from tests.helpers.tables import KeptTable

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return tmp_path / "albums" / "default"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    for colour in ("red", "green", "blue"):
        photo(place / f"{colour}.png", colour)
    shutil.copy2(place / "red.png", place / "red again.png")
    dated(place / "yellow.jpg", "2025:06:14 18:30:05", (240, 230, 20))
    (place / "broken.png").write_bytes(b"no picture")
    os.utime(place / "broken.png", (1, 1))
    return place


@pytest.fixture
def table(tmp_path: Path) -> Any:
    kept: dict[str, Any] = {}
    return lambda: KeptTable(tmp_path, kept)


def exported(album: Path, table: Any) -> dict[str, Row]:
    export_album(album, table())
    return {Path(os.fsdecode(row.name)).name: row for row in table()._kept["rows"]}


def test_every_photo_is_a_row_with_its_vector(album: Path, folder: Path, table: Any) -> None:
    update(album, folder)
    say(album, "in", "green", "EXIT")
    heard: list[int] = []
    done = export_album(album, table(), heard.append)
    assert (done.new, done.known, done.failed, done.dated, done.read) == (6, 0, 1, 1, 1)
    assert heard == [6]
    rows = {Path(os.fsdecode(row.name)).name: row for row in table()._kept["rows"]}
    assert table()._kept["made"] == Made("fake", "fake-1", 24, "float16")
    assert set(rows) == {path.name for path in folder.iterdir()}
    for name, row in rows.items():
        path = folder / name
        assert (row.name, row.size) == (os.fsencode(path), path.stat().st_size)
        assert row.modified == path.stat().st_mtime_ns // 1000
        if name == "broken.png":
            assert row.vector is None and row.error
        else:
            assert np.array_equal(row.vector, vector_of(album, str(path))[0])  # to the bit
    assert rows["green.png"].text == "EXIT" and rows["red.png"].text is None


def test_an_export_that_is_broken_off_goes_on(
    album: Path, folder: Path, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(album, folder)
    monkeypatch.setattr("galago.scale.albums._PAGE", 2)

    def stop(photos: int) -> None:
        if photos == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_album(album, table(), stop)
    assert len(table()._kept["rows"]) == 4
    again = export_album(album, table())
    assert (again.new, again.known) == (2, 4) and len(set(table().names())) == 6
    assert export_album(album, table()).new == 0 and len(list(table().names())) == 6


def test_a_table_of_something_else_is_refused(album: Path, folder: Path, table: Any) -> None:
    update(album, folder)
    one = table()
    one._kept["made"] = Made("fake", "fake-1", 24, "float32", "nano x", "What?")
    with pytest.raises(OptionError, match="holds captions by nano x, not nobody"):
        export_album(album, table())
    one._kept["made"] = Made("other", "other-1", 24)
    with pytest.raises(OptionError, match="holds vectors of other, not fake"):
        export_album(album, table())
    one._kept["made"] = Made("fake", "fake-1", 24, "float32")
    assert export_album(album, table()).new == 6
    with pytest.raises(OptionError, match="there is no album"):
        export_album(album.with_name("none"), table())


def test_there_and_back_is_the_same_album(
    album: Path, folder: Path, table: Any, tmp_path: Path
) -> None:
    update(album, folder)
    say(album, "in", "green", "EXIT")
    exported(album, table)
    model, back = FakeEmbedder(), tmp_path / "albums" / "back"
    reader = FakeReader(as_records(table()), made_by(model))
    done = import_table(reader, back, model, "fake")
    assert (done.new, done.failed, done.rounded) == (5, 1, False)
    assert model.encoded == 0  # pictures
    check(back)
    assert paths_in(back) == paths_in(album)
    for path in paths_in(album):
        assert np.array_equal(vector_of(back, path), vector_of(album, path))
    with Store.open(back) as store:
        texts = store.db.execute("SELECT kind, text FROM texts").fetchall()
        assert texts == [("read", "EXIT")] and store.count("vectors") == 4
    # What is there is as if it had been indexed: nothing is encoded when it is.
    later = FakeEmbedder()
    summary = update(back, folder, model=later)
    assert later.encoded == 0 and (summary.unchanged, len(summary.failed)) == (5, 1)
    with Store.open(back) as store:
        assert store.count("vectors WHERE taken = '2025-06-14 18:30:05'") == 1


def test_an_import_that_is_broken_off_goes_on(album: Path, folder: Path) -> None:
    model = FakeEmbedder()
    paths = sorted(path for path in folder.glob("*.png") if path.stem != "broken")
    rows = [table_row(path, model, modified=_modified(path)) for path in paths]

    def stop(count: int) -> None:
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_table(FakeReader(rows, made_by(model), 2), album, model, "fake", stop)
    assert len(paths_in(album)) == 2
    again = import_table(FakeReader(rows, made_by(model), 2), album, model, "fake")
    assert (again.new, again.known) == (2, 2)
    check(album)
    assert paths_in(album) == [str(path) for path in paths]


def test_what_an_album_cant_hold_is_counted(album: Path, folder: Path) -> None:
    model = FakeEmbedder()
    red, green, blue = (folder / f"{colour}.png" for colour in ("red", "green", "blue"))
    rows = [
        table_row(red, model, modified=_modified(red)),
        table_row(green, model, modified=_modified(red) - timedelta(microseconds=1)),
        table_row(blue, model, modified=None),  # told by its content
        table_row(blue, model, modified=None, sha256="0" * 64),
        table_row(red, model, path="s3://bucket/a.png"),
        table_row(red, model, path="/data/a.tar#b.png"),
        table_row(red, model, path=str(folder / "gone.png")),
        *read_rows("/bad.png"),
    ]
    done = import_table(FakeReader(rows, made_by(model, "float32")), album, model, "fake")
    assert (done.new, done.failed, done.elsewhere, done.missing, done.changed) == (2, 1, 2, 1, 2)
    assert done.rounded and paths_in(album) == sorted([str(red), str(blue)])
    assert np.allclose(vector_of(album, str(red))[0], rows[0]["vector"], atol=5e-4)


def test_what_was_forgotten_stays_out(album: Path, folder: Path) -> None:
    from galago.album.write import forget

    photo(folder / "deeper" / "grey.png", "grey")
    update(album, folder)
    with Store.open(album, write=True) as store:
        forget(store, str(folder / "deeper"))
    model, path = FakeEmbedder(), folder / "deeper" / "grey.png"
    rows = [table_row(path, model, modified=_modified(path))]
    done = import_table(FakeReader(rows, made_by(model)), album, model, "fake")
    assert (done.new, done.forgotten) == (0, 1) and str(path) not in paths_in(album)


def test_an_album_of_another_model_is_refused_and_one_of_nothing_isnt_made(
    album: Path, folder: Path
) -> None:
    update(album, folder)
    other = FakeEmbedder("fake-2")
    with pytest.raises(OptionError, match="was indexed by another version of fake"):
        import_table(FakeReader([], made_by(other)), album, other, "fake")
    with pytest.raises(OptionError, match="holds vectors of another fake"):
        import_table(FakeReader([], made_by(other)), album, FakeEmbedder(), "fake")
    new = album.with_name("new")
    model = FakeEmbedder()
    assert import_table(FakeReader(read_rows("/a"), made_by(model)), new, model, "fake").new == 0
    assert not new.exists()


@POSIX
def test_names_that_are_no_text(album: Path, folder: Path, table: Any) -> None:
    odd = os.fsencode(folder) + b"/n\xe9.png"
    shutil.copy2(folder / "red.png", odd)
    update(album, folder)
    export_album(album, table())
    assert odd in set(table().names())
    model, back = FakeEmbedder(), album.with_name("back")
    import_table(FakeReader(as_records(table()), made_by(model)), back, model, "fake")
    assert os.fsdecode(odd) in paths_in(back)


def _modified(path: Path) -> datetime:
    return _EPOCH + timedelta(microseconds=path.stat().st_mtime_ns // 1000)
