"""Photos by words that stand in them, beside those by what they show."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from galago.album import Part, Searcher
from galago.album.guide import Guide
from galago.album.wording import fused
from tests.helpers.albums import FakeEmbedder, photo, say, update


def words(text: str) -> Part:
    return Part(FakeEmbedder().embed_texts([text])[0])


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Thirty blue photos and thirty red ones."""
    for colour in ("red", "blue"):
        for seed in range(30):
            photo(tmp_path / "p" / f"{colour}{seed}.png", colour, seed)
    update(tmp_path / "album", tmp_path / "p", batch=60)
    return tmp_path / "album"


def stems(hits: list) -> list[str]:  # type: ignore[type-arg]
    return [Path(hit.path).stem for hit in hits]


def test_the_words_in_a_picture_put_it_on_top(album: Path) -> None:
    say(album, "p", "blue7", "INVOICE no. 17\nred paint, two litres, paid in cash")
    say(album, "p", "blue8", "an invoice lies on a table", "caption")
    with Searcher(album) as searcher:
        hits = searcher.search([words("invoice")], 3, text="invoice", only_matches=True)
        assert set(stems(hits)[:2]) == {"blue7", "blue8"} and all(hit.match for hit in hits)
        kinds = {Path(hit.path).stem: (hit.kind, hit.text) for hit in hits}
        assert kinds["blue7"] == ("read", "INVOICE no. 17 red paint, two litres, paid in cash")
        assert kinds["blue8"] == ("caption", "an invoice lies on a table")
        # Both kinds of matches take turns: neither hides the other.
        mixed = searcher.search([words("a red thing")], 6, text="red", only_matches=True)
        assert stems(mixed)[0] == "blue7" and mixed[0].text is not None
        assert all(stem.startswith("red") for stem in stems(mixed)[1:])
        assert len({*stems(mixed)}) == 6


def test_longer_words_come_behind_what_matches(album: Path) -> None:
    say(album, "p", "blue1", "a redirected letter")
    with Searcher(album) as searcher:
        hits = searcher.search([words("a red thing")], 60, text="red", only_matches=True)
        assert stems(hits)[-1] == "blue1" and stems(hits).count("blue1") == 1
        assert len(hits) > 20


def test_texts_alone_need_no_model(album: Path) -> None:
    say(album, "p", "blue1", "The café is closed")
    say(album, "p", "blue2", "红色的连衣裙挂在门上")
    say(album, "p", "blue3", "cafes, and a closed door")
    with Searcher(album) as searcher:
        assert stems(searcher.search((), text="CAFE closed")) == ["blue1", "blue3"]
        (hit,) = searcher.search((), text="连衣裙")
        assert hit.text == "红色的连衣裙挂在门上" and hit.score is None and hit.match
        assert searcher.search((), text="nothing of this") == []
        assert stems(searcher.search((), text="closed", not_text=["door"])) == ["blue1"]
        assert stems(searcher.search((), 1, text="closed")) == ["blue1"]


def test_more_than_any_album_has_may_be_asked_for(album: Path) -> None:
    say(album, "p", "blue1", "closed")
    with Searcher(album) as searcher:
        for k in (61, 10**9, 10**30):
            assert len(searcher.search([words("a red thing")], k, text="closed")) == 60
            assert len(searcher.search((), k, text="closed")) == 1
        assert searcher.search((), text="!?") == []


def test_an_excerpt_is_a_line_around_the_words(album: Path) -> None:
    say(album, "p", "red1", "word " * 200 + "\n\n the  needle\there " + "hay " * 200)
    with Searcher(album) as searcher:
        (hit,) = searcher.search((), text="needle")
    assert hit.text is not None and "the needle here" in hit.text and len(hit.text) < 130
    assert hit.text[0] == hit.text[-1] == "…" and "\n" not in hit.text


def test_a_guide_looks_for_the_wanted_words(album: Path) -> None:
    say(album, "p", "blue7", "an invoice for paint")
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        first = guide.find(["invoice"], k=1)[0]
        assert Path(first.path).stem == "blue7" and first.close and first.kind == "read"
        assert all(hit.text is None for hit in guide.find(["invoice"], minus=["paint"], k=60))
        assert all(hit.text is None for hit in guide.find(["invoice"], k=60, text=""))
        picture = album.parent / "p" / "red1.png"
        assert all(hit.text is None for hit in guide.find(["invoice"], [picture], k=60))
        assert stems(guide.find(text="invoice")) == ["blue7"]
        folder = album.parent / "p"
        assert stems(guide.find(text="invoice", folders=[str(folder)], until="1999")) == []


def test_two_rankings_take_turns_and_what_is_in_both_rises() -> None:
    assert fused([1, 2, 3], [4, 5, 6]) == [1, 4, 2, 5, 3, 6]
    assert fused([1, 2, 3], [3, 4]) == [3, 1, 2, 4]
    assert fused([], [7, 8]) == [7, 8] and fused([7], []) == [7]
