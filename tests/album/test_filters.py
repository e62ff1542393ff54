"""Searching among some photos only: those of folders, of days."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from galago.album import Filter, Part, Searcher, Store, filter_of
from galago.album.texts import write
from galago.errors import OptionError
from tests.helpers.albums import POSIX, FakeEmbedder, dated, photo, update


def words(text: str) -> Part:
    return Part(FakeEmbedder().embed_texts([text])[0])


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six red photos of June 2025 in `june`, six of July in `july/deep`, and blue ones without a
    date, whose files are of 2024."""
    root = tmp_path_factory.mktemp("filters")
    for number in range(1, 7):
        dated(
            root / "p/june" / f"{number}.jpg", f"2025:06:{number:02} 10:00:00", (200 + number, 9, 9)
        )
        dated(
            root / "p/july/deep" / f"{number}.jpg",
            f"2025:07:{number:02} 10:00:00",
            (200, 9, 40 + number),
        )
        one = photo(root / "p/blue" / f"{number}.png", "blue", number)
        then = datetime(2024, 3, number, 12).timestamp()
        os.utime(one, (then, then))
    update(root / "album", root / "p")
    return root / "album"


def names(hits: list) -> list[str]:  # type: ignore[type-arg]
    return [f"{Path(hit.path).parent.name}/{Path(hit.path).stem}" for hit in hits]


def test_the_k_results_come_from_what_passes(album: Path) -> None:
    root = album.parent / "p"
    with Searcher(album) as searcher:
        every = searcher.search([words("a red thing")], 4)
        assert len(every) == 4
        for folder, inside in (("june", "june"), ("july", "deep")):
            hits = searcher.search([words("a red thing")], 4, where=filter_of([str(root / folder)]))
            assert len(hits) == 4 and {Path(hit.path).parent.name for hit in hits} == {inside}
        both = filter_of([str(root / "june"), str(root / "july")])
        assert len(searcher.search([words("a red thing")], 99, where=both)) == 12
        # What matches is what matches in the whole album.
        blue = searcher.search([words("a red thing")], 99, where=filter_of([str(root / "blue")]))
        assert len(blue) == 6 and not any(hit.match for hit in blue)


def test_days_are_the_cameras_or_else_the_files(album: Path) -> None:
    with Searcher(album) as searcher:
        june = searcher.search(
            [words("a red thing")], 99, where=filter_of((), "2025-06", "2025-06")
        )
        assert {Path(hit.path).parent.name for hit in june} == {"june"} and len(june) == 6
        assert all(hit.taken.startswith("2025-06") and not hit.by_file for hit in june)
        some = searcher.search((), 99, where=filter_of((), "2025-06-03", "2025-06-04 10:00"))
        assert names(some) == ["june/4", "june/3"]
        assert names(searcher.search((), 99, where=filter_of((), None, "2024"))) == [
            f"blue/{number}" for number in range(6, 0, -1)
        ]
        hits = searcher.search((), 1, where=filter_of((), "2024-03-02", "2024-03-02"))
        assert hits[0].taken == "2024-03-02 12:00:00" and hits[0].by_file


def test_a_filter_alone_lists_the_newest_first(album: Path) -> None:
    root = album.parent / "p"
    with Searcher(album) as searcher:
        hits = searcher.search((), 5, where=filter_of((), "2025-06-02"))
        assert names(hits) == [f"deep/{number}" for number in (6, 5, 4, 3, 2)]
        assert all(hit.score is None and hit.match for hit in hits)
        found = searcher.search((), 10**9, where=filter_of([str(root)]))
        assert len(found) == 18 and names(found)[-1] == "blue/1"
        assert searcher.search((), where=filter_of((), "2025-08")) == []
        with pytest.raises(OptionError, match="say what to look for"):
            searcher.search(())


@POSIX
def test_a_folder_is_known_by_any_of_its_names(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = album.parent / "p"
    (tmp_path / "link").symlink_to(root / "june")
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root / "july")
    with Searcher(album) as searcher:
        for name, inside in (
            (str(tmp_path / "link"), "june"),
            ("~/june", "june"),
            ("~/june/", "june"),
            (".", "deep"),
            ("../july//deep/../deep", "deep"),
        ):
            assert {
                Path(hit.path).parent.name
                for hit in searcher.search((), 99, where=filter_of([name]))
            } == {inside}, name


@POSIX
def test_folders_behind_links_and_with_odd_names(tmp_path: Path) -> None:
    odd = tmp_path / "p" / os.fsdecode(b"caf\xe9 %_*\n")
    photo(odd / "a.png")
    photo(tmp_path / "elsewhere" / "b.png", seed=1)
    (tmp_path / "p" / "link").symlink_to(tmp_path / "elsewhere")
    photo(tmp_path / "p2" / "c.png", seed=2)  # its name begins as p's does
    update(tmp_path / "a", tmp_path / "p", tmp_path / "p2")
    with Searcher(tmp_path / "a") as searcher:
        for folder, found in ((odd, "a"), (tmp_path / "p" / "link", "b"), (tmp_path / "p2", "c")):
            hits = searcher.search((), where=filter_of([str(folder)]))
            assert [Path(hit.path).stem for hit in hits] == [found]
        assert len(searcher.search((), where=filter_of([str(tmp_path / "p")]))) == 2
        assert len(searcher.search((), where=filter_of(["/"]))) == 3


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("", "is empty"),
        ("nowhere", "there is no folder nowhere"),
        ("a\0b", "can't be a folder"),
        ("{album}", "album 'album' has no photo in "),
        ("{album}/album.sqlite", "is a file"),
    ],
)
def test_a_folder_that_the_album_does_not_have_is_told(album: Path, folder: str, said: str) -> None:
    with Searcher(album) as searcher, pytest.raises(OptionError, match=said):
        searcher.search((), where=filter_of([folder.format(album=album)]))


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("junk", None, "since: 'junk' is no date"),
        (None, "2025-99", "until: '2025-99' is no date"),
        ("2568", None, "is yet to come"),
        ("2025-08", "2025-06", "until 2025-06 is before since 2025-08"),
    ],
)
def test_odd_times_are_told(since: str | None, until: str | None, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        filter_of((), since, until)


def test_a_copy_is_shown_where_it_was_looked_for(tmp_path: Path) -> None:
    first = photo(tmp_path / "a" / "x.png")
    (tmp_path / "b").mkdir()
    shutil.copy2(first, tmp_path / "b" / "y.png")
    update(tmp_path / "album", tmp_path)
    with Searcher(tmp_path / "album") as searcher:
        (hit,) = searcher.search([words("red")], where=filter_of([str(tmp_path / "b")]))
        assert hit.path == str(tmp_path / "b" / "y.png") and hit.copies == (str(first),)
        (tmp_path / "b" / "y.png").unlink()
        hits = searcher.search([words("red")], where=filter_of([str(tmp_path / "b")]))
        assert hits == [] and hits.left_out.missing == 1


@POSIX
def test_of_two_names_and_of_two_times_the_one_asked_for_is_shown(tmp_path: Path) -> None:
    first = photo(tmp_path / "a" / "x.png")
    (tmp_path / "b").mkdir()
    os.link(first, tmp_path / "b" / "y.png")  # one file
    old = photo(tmp_path / "c" / "a new copy.png")
    then = datetime(2024, 3, 1, 12).timestamp()
    os.utime(old, (then, then))
    update(tmp_path / "album", tmp_path)
    with Searcher(tmp_path / "album") as searcher:
        (hit,) = searcher.search((), where=filter_of([str(tmp_path / "b")]))
        assert hit.path == str(tmp_path / "b" / "y.png")
        (hit,) = searcher.search((), where=filter_of((), None, "2024"))
        assert hit.path == str(old) and hit.taken.startswith("2024-03-01")


def test_filters_hold_for_texts_and_moments_of_videos(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for seed in range(3):
            photo(tmp_path / name / f"{seed}.png", seed=seed + 10 * (name == "b"))
    update(tmp_path / "album", tmp_path / "a", tmp_path / "b")
    with Store.open(tmp_path / "album", write=True) as store, store.transaction():
        for (digest,) in store.db.execute("SELECT hash FROM vectors").fetchall():
            write(store, digest, "read", "an invoice of June")
        lead, moment = (
            digest for (digest,) in store.db.execute("SELECT hash FROM vectors WHERE row IN (0, 1)")
        )
        # A video's second moment: it has no photo of its own.
        store.db.execute("DELETE FROM photos WHERE row = 1")
        store.db.execute("INSERT INTO frames VALUES (?, ?, 3)", (moment, lead))
    where = filter_of([str(tmp_path / "b")])
    with Searcher(tmp_path / "album") as searcher:
        hits = searcher.search((), text="invoice", where=where)
        assert {Path(hit.path).parent.name for hit in hits} == {"b"} and len(hits) == 3
        rows = _rows(searcher, filter_of([str(tmp_path / "a")]))
        assert rows == [0, 1, 2]


def _rows(searcher: Searcher, where: Filter) -> list[int]:
    from galago.album.filters import passing

    return sorted(passing(searcher._store, where).rows.tolist())


def test_an_album_is_searched_while_it_changes(album: Path) -> None:
    with Searcher(album) as searcher:
        where = filter_of([str(album.parent / "p" / "june")])
        before = len(searcher.search((), 99, where=where))
        new = dated(album.parent / "p/june" / "new.jpg", "2025:06:30 10:00:00", (1, 250, 1))
        update(album, album.parent / "p")
        assert len(searcher.search((), 99, where=where)) == before + 1
        new.unlink()
        hits = searcher.search((), 99, where=where)
        assert len(hits) == before and hits.left_out.missing == 1
        update(album, album.parent / "p")
