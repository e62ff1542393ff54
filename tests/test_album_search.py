"""Searching: exactly what a plain product gives, and a cut that knows the album."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from galago.album import Hit, Part, Searcher, Store
from galago.album import search as search_module
from galago.album import vectors as vectors_module
from galago.album.match import Background, likeness, phrases, reach, strength, words_cut
from galago.album.vectors import Rows, VectorFile, best
from galago.album.write import Photo, Writer, begin
from galago.errors import OptionError, StorageError
from tests.albums import COLOURS, FakeEmbedder, photo, update

Float = np.ndarray


def unit(count: int, dim: int, seed: int = 0) -> Float:
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def stored(path: Path, vectors: Float) -> Rows:
    with VectorFile(path, vectors.shape[1], 0) as file:
        file.write(0, vectors)
    return Rows(path, vectors.shape[1], len(vectors))


# -- vectors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "dim", "at_once"), [(1, 7, 9), (1000, 64, 7), (30_001, 48, 999)])
def test_the_nearest_are_those_of_the_plain_product(
    tmp_path: Path, count: int, dim: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, query = unit(count, dim), unit(1, dim, 1)[0]
    plain = vectors.astype(np.float16).astype(np.float32) @ query
    rows = stored(tmp_path / "v", vectors)
    for size in (at_once, count):
        monkeypatch.setattr(vectors_module, "_AT_ONCE", size)
        monkeypatch.setattr(vectors_module, "_AGAIN", size)
        for k in (1, 100, count + 5):
            places, scores = rows.nearest(query, k)
            assert scores.dtype == np.float32 and len(places) == min(k, count)
            assert np.allclose(scores, np.sort(plain)[::-1][:k], atol=1e-6)
            assert np.allclose(plain[places], scores, atol=1e-6) and len({*places}) == len(places)


def test_the_nearest_are_right_where_float16_cannot_tell_them_apart(tmp_path: Path) -> None:
    """Rows that differ by less than what the query loses when it is made float16."""
    rng = np.random.default_rng(5)
    query = unit(1, 64, 1)[0]
    vectors = query + rng.normal(0, 1e-3, (3000, 64)).astype(np.float32)
    rows = stored(tmp_path / "v", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    exact = rows.take(slice(None)).astype(np.float64) @ query
    rough = rows.take(slice(None)) @ query.astype(np.float16).astype(np.float32)
    assert set(np.argsort(-rough)[:50]) != set(np.argsort(-exact)[:50])
    places, scores = rows.nearest(query, 50)
    assert np.allclose(scores, np.sort(exact)[::-1][:50], atol=2e-7)
    gone = places[::2]
    fewer, _ = rows.nearest(query, 50, gone)
    assert not {*fewer} & {*gone} and {*places[1::2]} < {*fewer}
    assert len(rows.nearest(query, 5, np.arange(len(rows)))[0]) == 0


def test_every_float16_that_a_unit_vector_can_hold_is_multiplied_right(tmp_path: Path) -> None:
    bits = np.arange(0x3C01, dtype=np.uint16)  # 0 to 1, the subnormal ones too
    numbers = np.concatenate([bits, bits | 0x8000]).view(np.float16).astype(np.float32)[:, None]
    rows = stored(tmp_path / "v", numbers)
    places, scores = rows.nearest(np.array([0.5], np.float32), len(numbers))
    assert np.array_equal(scores, numbers[places, 0] / 2)
    assert np.array_equal(scores, np.sort(numbers[:, 0])[::-1] / 2)


def test_the_best_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(3)
    for count in (1, 5, 200):
        scores = rng.integers(0, 9, count).astype(np.float32)  # many equals
        full = np.argsort(-scores, kind="stable")
        for k in (1, 3, 50, 500):
            assert np.array_equal(best(scores, k), full[:k])


def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    vectors = unit(6, 8)
    stored(tmp_path / "v", vectors)
    with (tmp_path / "v").open("ab") as file:
        file.write(b"part of a row")
    with VectorFile(tmp_path / "v", 8, 4) as file:
        file.write(4, vectors[:1])
    assert (tmp_path / "v").stat().st_size == 5 * 8 * 2
    assert np.allclose(Rows(tmp_path / "v", 8, 5).take(slice(4, 5)), vectors[:1], atol=1e-3)


def test_lost_rows_are_told(tmp_path: Path) -> None:
    stored(tmp_path / "v", unit(6, 8))
    os.truncate(tmp_path / "v", 50)
    for opened in (lambda: Rows(tmp_path / "v", 8, 6), lambda: VectorFile(tmp_path / "v", 8, 6)):
        with pytest.raises(StorageError, match="damaged.*galago index --fresh"):
            opened()


# -- the cut ---------------------------------------------------------------------------------------


def test_the_phrases_are_many_and_all_different() -> None:
    shown, absent = phrases()
    assert len(shown) >= 300 and len(absent) >= 50
    assert len({*shown, *absent}) == len(shown) + len(absent)


def test_strength_takes_out_what_is_the_photos_own() -> None:
    others = np.random.default_rng(0).normal(0.2, 0.05, (3, 400)).astype(np.float32)
    scores = np.array([0.3, 0.3, 0.2], np.float32)
    lifted = others + np.array([[0], [0.5], [0]], np.float32)  # a photo that likes every query
    strong = strength(scores + np.array([0, 0.5, 0], np.float32), lifted)
    assert strong[0] == pytest.approx(2, abs=0.2) and strong[2] == pytest.approx(0, abs=0.2)
    assert strong[1] == pytest.approx(2, abs=0.2)


def test_likeness_is_the_correlation_of_scores() -> None:
    background = Background(unit(300, 16, 1), unit(5, 16, 2))
    rows = unit(6, 16, 3)
    alike = likeness(rows, rows[2], background)
    plain = np.corrcoef(rows @ background.shown.T)[2]
    assert np.allclose(alike, plain, atol=1e-5) and alike[2] == pytest.approx(1)


def test_reach_grows_with_the_album_and_is_the_same_in_parts() -> None:
    background = Background(unit(300, 32, 1), unit(60, 32, 2))
    photos = unit(2000, 32, 3)
    whole = reach(photos, background)
    parts = np.maximum.reduce([reach(part, background) for part in np.array_split(photos, 7)])
    assert np.allclose(whole, parts, atol=1e-4)
    assert words_cut(whole) > words_cut(reach(photos[:50], background)) > 0
    assert words_cut(reach(photos[:0], background)) == words_cut(np.empty(0, np.float32))


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
    monkeypatch.setattr(search_module, "words_cut", lambda reached: -np.inf)  # all match
    monkeypatch.setattr(search_module, "_JUDGED", 50)
    part = words("a red thing")
    with Store.open(album) as store, Searcher(album) as searcher:
        head = store.head()
        assert head is not None
        every = store.rows(head).take(slice(None)) @ part.vector
        order = [int(row) for row in np.argsort(-every, kind="stable")]
        names = [store.photos_of(row)[0] for row in order]
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
    mine = {f"/p/{number}.jpg" for number in range(300, 308)}
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
    assert [hit.path for hit in hits] == [f"/p/{n}.jpg" for n in range(4)]


def update_by_hand(folder: Path, vectors: Float, model: FakeEmbedder | None = None) -> None:
    """An album of given vectors."""
    folder.mkdir(exist_ok=True)
    with Store.open(folder, write=True) as store:
        begin(store, model or FakeEmbedder(), "fake")
        digests = [number.to_bytes(16, "big") for number in range(len(vectors))]
        names = [f"/p/{number}.jpg".encode() for number in range(len(vectors))]
        with Writer(store) as writer:
            photos = [
                Photo(n, 100 + i, 1, d) for i, (n, d) in enumerate(zip(names, digests, strict=True))
            ]
            writer.record(photos, digests, vectors)
