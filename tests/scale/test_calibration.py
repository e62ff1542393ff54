"""Where a match begins in a table: gone over once, kept, and as an album has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.album import Store
from galago.scale.calibration import background_of, calibrate
from galago.scale.reader import Record
from tests.helpers.albums import FakeEmbedder, photo, update
from tests.helpers.readers import FakeReader, made_by, read_rows, table_row


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rows(tmp_path: Path) -> list[Record]:
    model = FakeEmbedder()
    colours = ("red", "green", "blue", "yellow", "grey")
    paths = [photo(tmp_path / "in" / f"{colour}.png", colour) for colour in colours]
    return [table_row(path, model) for path in paths] + read_rows("/broken.png")


def test_as_an_album_of_the_same_pictures(rows: list[Record], tmp_path: Path) -> None:
    model = FakeEmbedder()
    update(tmp_path / "album", tmp_path / "in", model=model)
    with Store.open(tmp_path / "album") as store:
        background, reached = store.background(model.dim)
    found = calibrate(FakeReader(rows, made_by(model)), background_of(model))
    assert np.array_equal(background_of(model).shown, background.shown)
    assert np.allclose(found.reach, reached, atol=5e-3)
    vectors = np.array([row["vector"] for row in rows[:5]])
    assert np.allclose(found.middle, vectors.mean(axis=0), atol=1e-3)


def test_gone_over_once_for_each_state_of_the_table(rows: list[Record], cache: Path) -> None:
    model = FakeEmbedder()
    background = background_of(model)
    first, again, later = (
        FakeReader(rows, made_by(model), version=version) for version in ("1", "1", "2")
    )
    found = [calibrate(one, background) for one in (first, again, later)]
    assert [one.gone_over for one in (first, again, later)] == [1, 0, 1]
    assert np.array_equal(found[0].reach, found[1].reach)
    (kept,) = (cache / "tables").iterdir()
    kept.write_text("no JSON")
    calibrate(later, background)
    assert later.gone_over == 2


def test_without_a_place_to_keep_it(rows: list[Record], cache: Path) -> None:
    cache.write_text("a file in the way")
    model = FakeEmbedder()
    reader = FakeReader(rows, made_by(model))
    for times in (1, 2):
        calibrate(reader, background_of(model))
        assert reader.gone_over == times


def test_nothing_is_kept_of_a_table_without_vectors(cache: Path) -> None:
    model = FakeEmbedder()
    found = calibrate(FakeReader(read_rows("/a.png"), made_by(model)), background_of(model))
    assert not np.isfinite(found.reach).any() and not (cache / "tables").exists()
