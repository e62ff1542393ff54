"""What a camera saw: kept whole, found by words, caption and time, and part of the album."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.album import Guide, IndexOptions, Part, Searcher, Store, find_duplicates, index
from galago.album.seen import as_caption, picture_of
from galago.album.store import write_lock
from galago.errors import OptionError
from tests.helpers.albums import FakeEmbedder, check, photo, update
from tests.helpers.scenes import NOON, said, scenes, sight, watched


def nearest(album: Path, words: str, model: FakeEmbedder | None = None) -> list[str]:
    vector = (model or FakeEmbedder()).embed_texts([words])[0]
    with Searcher(album) as searcher:
        hits = searcher.search([Part(vector)], 3)
        assert not hits.left_out
        return [hit.path for hit in hits]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    watched(tmp_path / "albums" / "door", "red coat at the door", "green leaves", "blue car")
    return tmp_path / "albums" / "door"


def test_a_scene_is_found_by_words_by_caption_and_has_its_time(album: Path) -> None:
    check(album)
    assert scenes(album) == [
        ("12-00-00.jpg", "2026-11-30 12:00:00", "red coat at the door"),
        ("12-01-00.jpg", "2026-11-30 12:01:00", "green leaves"),
        ("12-02-00.jpg", "2026-11-30 12:02:00", "blue car"),
    ]
    assert nearest(album, "a green thing")[0].endswith("seen/2026-11-30/12-01-00.jpg")
    assert said(album, "coat door") == ["red coat at the door"]


def test_a_picture_is_small_and_tells_its_time_and_no_place(album: Path) -> None:
    exif = Image.open(album / "seen/2026-11-30/12-00-00.jpg").getexif()
    assert exif.get_ifd(0x8769)[0x9003] == "2026:11:30 12:00:00"
    assert exif.get_ifd(0x8825) == {}, "GPS"
    large = Image.effect_noise((3000, 2000), 50)
    data = picture_of(large, "x", NOON)
    (album / "large.jpg").write_bytes(data)
    assert Image.open(album / "large.jpg").size == (640, 427)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_nobody_else_may_look(album: Path) -> None:
    for path in (album, *album.rglob("*")):
        if path.name != "lock" and not path.name.startswith("album.sqlite"):  # within 0700
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_caption_steers_no_terminal_and_is_any_text(album: Path) -> None:
    watched(album, "red \x1b]0;owned\x07\x1b[2J \ud800 \u202e car\n\nparked", "red " + "x" * 9000)
    (_, _, first), (_, _, long) = [one for one in scenes(album) if "-2.jpg" in one[0]]
    assert first == "red ]0;owned [2J ? car parked" and len(long) == 4000
    assert said(album, "parked") == [first]
    assert as_caption(" \x00 ") == ""


def test_two_scenes_in_one_second_have_names_of_their_own(album: Path) -> None:
    watched(album, "red coat", "red coat")
    names = [name for name, _, caption in scenes(album) if caption == "red coat"]
    assert names == ["12-00-00-2.jpg", "12-01-00-2.jpg"]
    check(album)


def test_a_video_that_is_watched_twice_is_kept_once(album: Path, tmp_path: Path) -> None:
    before = scenes(album)
    watched(album, "red coat at the door", "green leaves", "blue car")
    assert scenes(album) == before and len(list(album.rglob("*.jpg"))) == 3
    (album / "seen/2026-11-30/12-02-00.jpg").unlink()
    watched(album, "red coat at the door", "green leaves", "blue car")
    assert len(list(album.rglob("*.jpg"))) == 3, "a picture that had gone is there again"


def test_a_copy_among_the_photos_is_no_scene(album: Path, tmp_path: Path) -> None:
    copy = tmp_path / "photos" / "copy.jpg"
    copy.parent.mkdir()
    shutil.copy(album / "seen/2026-11-30/12-02-00.jpg", copy)
    other = tmp_path / "albums" / "other"
    update(other, copy.parent)
    watched(other, "red coat at the door", "green leaves", "blue car")
    assert len(scenes(other)) == 3
    check(other)


def test_an_index_run_leaves_scenes_alone(album: Path, tmp_path: Path) -> None:
    before = scenes(album)
    photo(tmp_path / "photos" / "yellow.png", "yellow")
    summary = update(album, tmp_path / "photos")
    assert (summary.encoded, summary.gone, summary.photos) == (1, 0, 4)
    summary = update(album)
    assert (summary.unchanged, summary.gone) == (4, 0)
    assert scenes(album) == before
    check(album)


def test_an_album_of_scenes_alone_can_be_indexed(album: Path) -> None:
    model = FakeEmbedder()
    assert update(album, model=model).unchanged == 3 and model.encoded == 0
    with pytest.raises(OptionError, match="say which folder"):
        update(album.with_name("none"))


def test_a_walk_over_albums_takes_no_scene_for_a_photo(album: Path, tmp_path: Path) -> None:
    photo(tmp_path / "albums" / "yellow.png", "yellow")
    update(album, tmp_path)
    assert len(scenes(album)) == 3
    with Store.open(album) as store:
        assert store.count() == 4
    with pytest.raises(OptionError, match="own folder"):
        update(album, album / "seen")


def test_another_model_finds_them_too(album: Path) -> None:
    before, other = scenes(album), FakeEmbedder("fake-2")
    options = IndexOptions(fresh=True, batch=2, workers=2)
    summary = index(album, [], lambda: other, source="other", options=options)
    assert summary.encoded == 3
    assert scenes(album) == before
    assert nearest(album, "a green thing", other)[0].endswith("12-01-00.jpg")
    assert said(album, "leaves") == ["green leaves"]
    check(album)


def test_a_fresh_run_that_is_stopped_loses_no_scene(album: Path) -> None:
    before = scenes(album)
    stopped = FakeEmbedder("fake-2", stop_after=1)
    options = IndexOptions(fresh=True, batch=1, workers=1)
    with pytest.raises(KeyboardInterrupt):
        index(album, [], lambda: stopped, source="fake", options=options)
    assert len(scenes(album)) == 1
    update(album, model=FakeEmbedder("fake-2"))
    assert scenes(album) == before


def test_pictures_alone_bring_the_album_back(album: Path) -> None:
    before = scenes(album)
    for file in [*album.glob("album.sqlite*"), *album.glob("vectors*")]:
        file.unlink()
    update(album)
    assert scenes(album) == before and said(album, "blue") == ["blue car"]


def test_an_album_may_be_moved(album: Path) -> None:
    shutil.move(album, album.with_name("gate"))
    found = nearest(album.with_name("gate"), "a green thing")[0]
    assert found.endswith("gate/seen/2026-11-30/12-01-00.jpg") and os.path.exists(found)


def test_a_guide_shows_the_picture_by_its_number(album: Path) -> None:
    import threading

    with Searcher(album) as searcher:
        guide = Guide("door", searcher, FakeEmbedder(), threading.Lock())
        (found,) = guide.find(["blue"], k=1)
        assert guide.photo(found.number) == found.path
        assert (found.taken, found.caption) == ("2026-11-30 12:02:00", "blue car")


def test_a_picture_deleted_by_hand_is_forgotten_by_the_next_run(album: Path) -> None:
    (album / "seen/2026-11-30/12-02-00.jpg").unlink()
    assert update(album).gone == 1
    assert said(album, "car") == []
    assert b"blue car" not in (album / "album.sqlite").read_bytes()
    check(album)


def test_a_folder_that_cannot_be_read_is_not_gone(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.album.indexing.files", lambda folder: ([], False))
    assert update(album).gone == 0 and len(scenes(album)) == 3


def test_duplicates_look_at_scenes_too(album: Path, tmp_path: Path) -> None:
    copy = tmp_path / "photos" / "copy.jpg"
    copy.parent.mkdir()
    shutil.copy(album / "seen/2026-11-30/12-02-00.jpg", copy)
    update(album, copy.parent)
    (group,) = find_duplicates(album)
    assert sorted(one.path for one in group) == sorted(
        [str(copy), str(album / "seen/2026-11-30/12-02-00.jpg")]
    )


def test_a_disk_that_refuses_leaves_nothing_half(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.album import seen
    from galago.album.write import Writer

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seen, "_write_note", refuse)
    fresh = seen.Fresh(picture_of(sight(), "red", NOON), "red", NOON, unit_vector())
    with (
        write_lock(album),
        Store.open(album, write=True) as store,
        Writer(store) as writer,
        pytest.raises(OSError, match="No space"),
    ):
        seen.record(store, writer, fresh)
    assert len(scenes(album)) == 3 and len(list(album.rglob("*.jpg"))) == 3
    monkeypatch.undo()
    watched(album, "red coat")
    check(album)


def unit_vector() -> np.ndarray:
    return FakeEmbedder().embed_texts(["red"])[0]
