"""What the page asks for: itself, the album, labels, figures, the documents."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.album import Guide, Searcher
from galago.errors import StorageError
from galago.media.stills import Still
from galago.server.service import Service
from tests.helpers.albums import COLOURS, FakeEmbedder, photo, update
from tests.helpers.serving import Served, ask, data_url, serving
from tests.helpers.waiting import until


def test_page_metrics_docs(served: Served) -> None:
    page = ask(f"{served.url}/api/page").json
    assert set(page) == {
        *("version", "models", "default", "live", "presets"),
        *("album", "album_problem", "remember", "languages"),
    }
    assert (
        page["album"] is page["album_problem"] is page["remember"] is None
        and page["default"] == "fake"
    )
    assert any("{language}" in preset["prompt"] for preset in page["presets"])
    assert all(preset["possible"] for preset in page["presets"])  # nothing is known of this model
    figures = ask(f"{served.url}/metrics").body.decode()
    for name in ("galago_requests_total", "galago_queue_waiting", "galago_first_token_seconds"):
        assert name in figures
    schema = ask(f"{served.url}/openapi.json").json
    assert all(
        "422" not in one["responses"] for p in schema["paths"].values() for one in p.values()
    )
    unbuilt = ask(f"{served.url}/")
    assert unbuilt.status == 200 and b"make page" in unbuilt.body


def test_the_built_page_is_served(folder: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>page</title>")
    (static / "assets" / "a.js").write_text("1")
    (tmp_path / "secret").write_text("no")
    with serving(folder, static=static, api_key="k") as served:
        assert b"<title>page" in ask(f"{served.url}/").body
        assert ask(f"{served.url}/assets/a.js").body == b"1"
        wrong = ask(f"{served.url}/v1/embeddings", Authorization="Bearer k")
        assert wrong.status == 405 and wrong.headers["Allow"] == "POST"
        several = ask(f"{served.url}/api/index", verb="PUT", Authorization="Bearer k")
        assert several.status == 405 and several.headers["Allow"] == "DELETE, GET, POST"
        assert ask(f"{served.url}/assets/../../secret").status in (401, 404)
        assert ask(f"{served.url}/assets/%2e%2e/%2e%2e/secret").status in (401, 404)


def test_album_search_photo_classify(folder: Path, album: Path, tmp_path: Path) -> None:
    for at, colour in enumerate(("red", "red", "blue", "green")):
        photo(tmp_path / "photos" / f"{colour}{at}.png", colour, at)
    update(album, tmp_path / "photos")
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served:
            page = ask(f"{served.url}/api/page").json
            folders = [str(tmp_path / "photos")]
            about = {"name": "mine", "photos": 4, "model": "fake", "folders": folders}
            assert page["album"] == about
            found = ask(f"{served.url}/api/search", {"text": "red", "k": 2}).json
            assert {hit["name"] for hit in found["hits"]} == {"red0.png", "red1.png"}
            assert found["searched_for"] is None
            assert all(hit["match"] or not hit["close"] for hit in found["hits"])
            like = ask(f"{served.url}/api/search", {"image": data_url("blue"), "k": 1}).json
            assert like["hits"][0]["close"]
            assert like["hits"][0]["name"] == "blue2.png" and like["any_match"]
            both = {"plus": data_url("red"), "minus": "blue"}
            assert ask(f"{served.url}/api/search", both).status == 200
            thumb = ask(served.url + found["hits"][0]["thumb"])
            assert thumb.body[:2] == b"\xff\xd8" and thumb.headers["Content-Type"] == "image/jpeg"
            for path in ("999", "0", "-1", "..%2f..", "1e3"):
                assert ask(f"{served.url}/api/photo/{path}").status in (400, 404)
            assert ask(f"{served.url}/api/search", {}).status == 400
            fields = {"image": data_url(), "labels": ["a", "b"]}
            labels = ask(f"{served.url}/api/classify", fields).json
            pair = [{"label": n, "share": 0.5, "strange": False} for n in "ab"]
            assert labels["labels"] == pair and labels["known"] == 0.25 and labels["note"] is None
            assert "not sure here" in labels["doubt"]
            fields = {"image": data_url(), "labels": ["hippogriff", "b"]}
            labels = ask(f"{served.url}/api/classify", fields).json
            assert [one["strange"] for one in labels["labels"]] == [True, False]
            assert "never taught “hippogriff”" in labels["note"]
            strange = ask(f"{served.url}/api/search", {"text": "hippogriff"}).json
            assert strange["strange"] == ["hippogriff"]
            assert "never taught “hippogriff”" in strange["note"]


def test_words_that_are_not_english(folder: Path, album: Path, tmp_path: Path) -> None:
    for at, colour in enumerate(("red", "blue")):
        photo(tmp_path / "photos" / f"{colour}{at}.png", colour, at)
    update(album, tmp_path / "photos")
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served:

            def search(**fields: object) -> Any:
                return ask(f"{served.url}/api/search", {"k": 1, **fields}).json

            chinese = search(text="红色", minus="蓝色")
            assert chinese["searched_for"] == "red − blue"
            assert chinese["hits"][0]["name"] == "red0.png"
            assert "not understood and left out of the query: “鬽”" in search(text="鬽红")["note"]
            for fields in ({"text": "красный"}, {"text": "红色", "as_is": True}):
                assert "fake reads English only" in search(**fields)["note"]
                assert search(**fields)["searched_for"] is None
        with serving(folder, lambda: guide, translate=lambda text: "blue") as served:
            assert search(text="красный")["searched_for"] == "blue"
            assert search(text="красный")["hits"][0]["name"] == "blue1.png"
            assert search(text="red")["searched_for"] is None


def test_the_album_shows_what_is_there_and_copies_once(
    folder: Path, album: Path, tmp_path: Path
) -> None:
    first = photo(tmp_path / "photos" / "a.png")
    shutil.copy2(first, first.with_name("b.png"))
    gone = photo(tmp_path / "photos" / "c.png", "red", 1)
    update(album, tmp_path / "photos")
    gone.unlink()
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served:
            found = ask(f"{served.url}/api/search", {"text": "red"}).json
    assert [(hit["name"], hit["copies"]) for hit in found["hits"]] == [("a.png", 1)]
    assert "left out of what was indexed: 1 no longer there" in found["note"]


def test_a_video_is_shown_at_its_best_moment(
    folder: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="the extra `video` is not installed")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "clip.mp4").write_bytes(b"video")
    plain = [np.full((8, 8, 3), COLOURS[colour], np.uint8) for colour in ("blue", "red")]
    moments = [Still(10.5 * number, pixels) for number, pixels in enumerate(plain)]
    update(album, tmp_path / "photos", open_video=lambda path, side: moments)

    def thumbnail(self: Service, path: str, side: int, second: float | None = None) -> bytes:
        return f"{Path(path).name} {second}".encode()

    monkeypatch.setattr(Service, "thumbnail", thumbnail)
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served:
            (hit,) = ask(f"{served.url}/api/search", {"text": "red"}).json["hits"]
            assert (hit["name"], hit["second"]) == ("clip.mp4", 10.5)
            assert ask(served.url + hit["thumb"]).body == b"clip.mp4 10.5"
            assert ask(f"{served.url}/api/photo/{hit['id']}").body == b"clip.mp4 None"
            assert ask(f"{served.url}/api/photo/{hit['id']}?second=-1").status == 400


def test_photos_in_words(folder: Path, album: Path, tmp_path: Path) -> None:
    kept = photo(tmp_path / "photos" / "kept.png", "red")
    lost = photo(tmp_path / "photos" / "lost.png", "blue")
    update(album, tmp_path / "photos")
    lost.unlink()
    os.utime(kept, (0, 1_700_000_000))
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        number = {name: searcher.number_of(str(path)) for name, path in (("k", kept), ("l", lost))}
        with serving(folder, lambda: guide) as served:
            reply = ask(f"{served.url}/api/sights", {"ids": [number["l"], number["k"], 999]})
            sights = {one["id"]: one for one in reply.json["sights"]}
            assert set(sights) == set(number.values())
            assert sights[number["k"]]["day"] in ("2023-11-14", "2023-11-15")  # zones differ
            assert sights[number["l"]]["day"] is None
            assert all(isinstance(one["words"], list) for one in sights.values())
            for wrong in ([0], ["1"] * 201, [2**64]):
                assert ask(f"{served.url}/api/sights", {"ids": wrong}).status == 400
            nothing = ask(f"{served.url}/api/sights", {"ids": []})
            assert nothing.json == {"sights": []}


def test_few_photos_are_decoded_at_once(
    folder: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "photos" / "a.png")
    update(album, tmp_path / "photos")
    at_once: list[int] = []
    inside = 0
    go = threading.Event()

    def thumbnail(*_: Any) -> bytes:
        nonlocal inside
        inside += 1
        at_once.append(inside)
        assert go.wait(30)
        inside -= 1
        return b"jpeg"

    monkeypatch.setattr("galago.media.images.thumbnail", thumbnail)
    with Searcher(album) as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served, ThreadPoolExecutor(12) as pool:
            coming = pool.map(lambda _: ask(f"{served.url}/api/photo/1"), range(12))
            assert until(lambda: inside == 2)
            for _ in range(3):  # others have come as far as they get
                assert ask(f"{served.url}/health").status == 200
            go.set()
            replies = list(coming)
    assert [reply.body for reply in replies] == [b"jpeg"] * 12
    assert len(at_once) == 12 and max(at_once) <= 2


def test_search_without_an_album_says_how_to_make_one(served: Served) -> None:
    reply = ask(f"{served.url}/api/search", {"text": "red"})
    assert reply.status == 404 and "galago index" in reply.json["error"]["message"]


def test_an_album_that_cannot_be_opened_is_told(folder: Path) -> None:
    def album() -> Any:
        raise StorageError("the album is damaged: galago index --fresh")

    with serving(folder, album) as served:
        page = ask(f"{served.url}/api/page").json
        assert page["album"] is None and "--fresh" in page["album_problem"]
        for path, body in (("/api/search", {"text": "red"}), ("/api/photo/1", None)):
            reply = ask(served.url + path, body)
            assert reply.status == 500 and "--fresh" in reply.json["error"]["message"]
