"""Searching: the nearest and the matches, by words, pictures and both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from galago.album import Hit, Part, Searcher, Store, ranking
from galago.album import search as search_module
from galago.album.write import Photo, Writer, begin
from galago.errors import OptionError
from tests.helpers.albums import COLOURS, POSIX, FakeEmbedder, Float, photo, unit, update


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of each colour but yellow."""
    root = tmp_path_factory.mktemp("search")
    for colour in set(COLOURS) - {"yellow"}:
        for seed in range(40):
            photo(root / "photos" / colour / f"{seed}.png", colour, seed)
    update(root / "album", root / "photos", batch=50)
    return root / "album"


def words(text: str, wanted: bool = True) -> Part:
    return Part(FakeEmbedder().embed_texts([text])[0], "words", wanted)


def picture(path: str | Path, wanted: bool = True) -> Part:
    model = FakeEmbedder()
    return Part(model.embed_pixels(model.prepare(path)[None])[0], "picture", wanted)


def colours(hits: list[Hit]) -> set[str]:
    return {Path(hit.path).parent.name for hit in hits}


def test_the_k_best_are_those_of_brute_force(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "words_cut", lambda reached: -np.inf)  # all match
    monkeypatch.setattr(ranking, "_JUDGED", 50)
    part = words("a red thing")
    with Store.open(album) as store, Searcher(album) as searcher:
        head = store.head()
        assert head is not None
        every = store.rows(head).take(slice(None)) @ part.vector
        order = [int(row) for row in np.argsort(-every, kind="stable")]
        names = [store.photos_of(row)[0].path for row in order]
        for k in (1, 12, 160, 1000):
            hits = searcher.search([part], k)
            assert [os.fsencode(hit.path) for hit in hits] == names[:k]
            assert np.allclose([hit.score for hit in hits], np.sort(every)[::-1][:k], atol=1e-6)


def test_words_find_what_is_there_and_say_when_it_is_not(album: Path) -> None:
    with Searcher(album) as searcher:
        for colour in ("red", "green", "blue"):
            hits = searcher.search([words(f"a {colour} thing")], 40)
            assert colours(hits) == {colour} and all(hit.match for hit in hits)
        found = 0
        for number in range(40):
            hits = searcher.search([words(f"nothing {number}")], 12)
            assert len(hits) == 12
            found += any(hit.match for hit in hits)
        assert found <= 12  # one in ten was asked for


def test_a_picture_finds_itself_and_its_like(album: Path) -> None:
    mine = album.parent / "photos" / "blue" / "7.png"
    with Searcher(album) as searcher:
        hits = searcher.search([picture(mine)], 40)
        assert hits[0].path == str(mine) and hits[0].score == pytest.approx(1, abs=1e-3)
        assert colours(hits) == {"blue"}
        far = searcher.search([picture(mine)], 160)
        assert not any(hit.match for hit in far if "blue" not in hit.path)


class Narrow(FakeEmbedder):
    """Words lie close together, as those of real models do, round one direction."""

    middle = unit(1, 24, 77)[0]

    def embed_texts(self, texts: Sequence[str]) -> Float:
        rows = super().embed_texts(texts) + self.middle
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_photos_that_attract_every_query_do_not_crowd_out_the_matches(tmp_path: Path) -> None:
    model = Narrow()
    query = model.embed_texts(["a red thing"])[0]
    shows = query - 0.9 * model.middle
    rows = np.concatenate([model.middle + 0.1 * unit(300, 24, 3), shows + 0.05 * unit(8, 24, 4)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    update_by_hand(tmp_path, rows, model)
    mine = {str(tmp_path / f"{number}.jpg") for number in range(300, 308)}
    picture = rows[300] + 2 * model.middle
    with Searcher(tmp_path) as searcher:
        for part in (Part(query), Part(picture / np.linalg.norm(picture), "picture")):
            nearest = np.argsort(-(rows @ part.vector))[:12]
            assert nearest.max() < 300  # those that attract everything
            hits = searcher.search([part], 12)
            assert {hit.path for hit in hits if hit.match} == mine
            assert [hit.match for hit in hits] == [True] * 8 + [False] * 4
            for kind in (hits[:8], hits[8:]):
                assert [h.score for h in kind] == sorted((h.score for h in kind), reverse=True)


def test_parts_are_added_and_taken_away(album: Path) -> None:
    red, blue = (album.parent / "photos" / name / "3.png" for name in ("red", "blue"))
    with Searcher(album) as searcher:
        both = searcher.search([words("a red thing"), picture(blue)], 80)
        assert colours(both) == {"red", "blue"}
        without = searcher.search([words("a red thing"), picture(blue), words("blue", False)], 40)
        assert colours(without) == {"red"}
        other = searcher.search([picture(red, False), words("a blue thing")], 40)
        assert colours(other) == {"blue"}


def test_what_cannot_be_searched_is_told(album: Path, tmp_path: Path) -> None:
    with Searcher(album) as searcher:
        for parts, k, said in (
            ([], 3, "say what to look for"),
            ([words("red", wanted=False)], 3, "not only what to leave out"),
            ([words("red")], 0, "ask for 1 or more"),
            ([Part(np.ones(5, np.float32))], 3, r"\(5,\)"),
        ):
            with pytest.raises(OptionError, match=said):
                searcher.search(parts, k)
    with pytest.raises(OptionError, match="there is no album 'none' yet"):
        Searcher(tmp_path / "none")


def test_an_album_made_anew_by_another_model_is_noticed(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png")
    update(tmp_path / "album", tmp_path / "photos")
    with Searcher(tmp_path / "album") as searcher:
        assert len(searcher.search([words("red")])) == 1
        update(tmp_path / "album", model=FakeEmbedder("fake-2"), fresh=True)
        with pytest.raises(OptionError, match="indexed anew by fake"):
            searcher.search([words("red")])


def test_equal_scores_come_in_one_order(tmp_path: Path) -> None:
    vectors = np.repeat(unit(1, 24), 9, axis=0)
    update_by_hand(tmp_path, vectors)
    with Searcher(tmp_path) as searcher:
        hits = searcher.search([Part(vectors[0])], 4)
    assert [hit.path for hit in hits] == [str(tmp_path / f"{n}.jpg") for n in range(4)]


def test_what_is_gone_does_not_hide_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "_POOL", 3)
    vectors = unit(200, 24)
    update_by_hand(tmp_path, vectors)
    query = unit(1, 24, 5)[0]
    order = np.argsort(-(vectors @ query))
    for place in order[:100]:
        (tmp_path / f"{place}.jpg").unlink()
    (tmp_path / f"{order[100]}.jpg").write_bytes(b"other")
    with Searcher(tmp_path) as searcher:
        hits = searcher.search([Part(query)], 1)
        assert [hit.path for hit in hits] == [str(tmp_path / f"{order[101]}.jpg")]
        assert (hits.left_out.missing, hits.left_out.changed) == (100, 1)
        assert searcher.search([Part(query)], 1, only_matches=True) == []


@POSIX
def test_one_file_by_two_paths_is_one_hit_and_no_copy(tmp_path: Path) -> None:
    first = photo(tmp_path / "p" / "a.png")
    os.link(first, first.with_name("b.png"))
    shutil.copy2(first, first.with_name("c.png"))
    update(tmp_path / "album", first.parent)
    with Searcher(tmp_path / "album") as searcher:
        (hit,) = searcher.search([words("red")])
    assert hit.path == str(first) and hit.copies == (str(first.with_name("c.png")),)


def update_by_hand(folder: Path, vectors: Float, model: FakeEmbedder | None = None) -> None:
    """An album of given vectors."""
    folder.mkdir(exist_ok=True)
    with Store.open(folder, write=True) as store:
        begin(store, model or FakeEmbedder(), "fake")
        digests = [number.to_bytes(16, "big") for number in range(len(vectors))]
        paths = [folder / f"{number}.jpg" for number in range(len(vectors))]
        for path in paths:
            path.touch()
        with Writer(store) as writer:
            photos = [
                Photo(os.fsencode(path), 0, path.stat().st_mtime_ns, digest)
                for path, digest in zip(paths, digests, strict=True)
            ]
            writer.record(photos, digests, vectors)
