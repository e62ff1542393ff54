"""What the page's camera saw is kept only where the server was started for it, within bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from galago.album import Guide, Searcher
from galago.album.keeper import Keeper
from galago.album.store import write_lock
from galago.server import seen_routes
from tests.helpers.albums import FakeEmbedder
from tests.helpers.scenes import scenes
from tests.helpers.serving import Served, ask, data_url, serving

SCENE = {"image": data_url("red"), "caption": "a red door"}


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    one = Keeper(tmp_path / "album", FakeEmbedder(), "fake", keep=3600)
    yield one
    one.close()


@pytest.fixture
def remembering(folder: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(seen_routes, "_PAUSE", 0.0)

    def guide() -> Guide:
        return Guide("door", Searcher(keeper.folder), FakeEmbedder(), threading.Lock())

    with serving(folder, guide, seen=keeper) as served:
        yield served


def test_nothing_is_kept_unless_the_server_was_started_for_it(served: Served) -> None:
    for path, body in (("/api/seen", SCENE), ("/api/forget", {"last": 60})):
        refused = ask(served.url + path, body)
        assert refused.status == 403 and refused.json["error"]["code"] == "not_remembering"
        assert "--remember" in refused.json["error"]["message"]


def test_a_scene_is_kept_found_and_forgotten(remembering: Served, keeper: Keeper) -> None:
    assert ask(f"{remembering.url}/api/seen", SCENE).json == {"kept": True}
    page = ask(f"{remembering.url}/api/page").json
    assert page["remember"] == {"keep_seconds": 3600} and page["album"]["photos"] == 1
    (hit,) = ask(f"{remembering.url}/api/search", {"text": "red"}).json["hits"]
    ((_, taken, caption),) = scenes(keeper.folder)
    assert (hit["taken"], hit["caption"]) == (taken, caption) == (taken, "a red door")
    assert ask(f"{remembering.url}{hit['thumb']}").status == 200
    assert ask(f"{remembering.url}/api/forget", {"last": 3600}).json == {"scenes": 1}
    assert scenes(keeper.folder) == [] and not list(keeper.folder.rglob("*.jpg"))


def test_one_scene_a_second_at_most(
    remembering: Served, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_routes, "_PAUSE", 3600.0)
    assert ask(f"{remembering.url}/api/seen", SCENE).status == 200
    busy = ask(f"{remembering.url}/api/seen", SCENE)
    assert busy.status == 429 and busy.headers["Retry-After"] == "1"
    assert len(scenes(keeper.folder)) == 1


def test_while_another_writes_a_scene_waits_and_forgetting_says_so(
    remembering: Served, keeper: Keeper
) -> None:
    with write_lock(keeper.folder):
        assert ask(f"{remembering.url}/api/seen", SCENE).json == {"kept": False}
        told = ask(f"{remembering.url}/api/forget", {"last": 60})
        assert told.status == 500 and "try again" in told.json["error"]["message"]
    assert keeper.waiting == 0, "what waited is forgotten all the same"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/seen", {"image": "red.png", "caption": ""}),
        ("/api/seen", {"image": "data:image/png;base64,AAAA", "caption": ""}),
        ("/api/seen", {"image": SCENE["image"], "caption": "x" * 4001}),
        ("/api/seen", {"image": SCENE["image"]}),
        ("/api/forget", {"last": 0}),
        ("/api/forget", {"last": 1e9}),
        ("/api/forget", {}),
    ],
)
def test_what_makes_no_sense(remembering: Served, keeper: Keeper, path: str, body: object) -> None:
    assert ask(remembering.url + path, body).status == 400
    assert scenes(keeper.folder) == []


def test_escapes_in_a_caption_do_no_harm(remembering: Served, keeper: Keeper) -> None:
    told = {**SCENE, "caption": "a \x1b[2J door"}
    assert ask(f"{remembering.url}/api/seen", told).status == 200
    ((_, _, caption),) = scenes(keeper.folder)
    assert caption == "a [2J door"


def test_another_page_may_not(remembering: Served, keeper: Keeper) -> None:
    for path, body in (("/api/seen", SCENE), ("/api/forget", {"last": 60})):
        assert ask(remembering.url + path, body, Origin="http://evil.example").status == 403
    assert scenes(keeper.folder) == []
