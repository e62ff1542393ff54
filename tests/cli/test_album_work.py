"""The album's long work as a server does it, on a model that is a fake."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from galago.album import Store, album_folder, index
from galago.album.embedder import Float
from galago.cli import desk as room
from galago.cli.album_work import DeskIndexer, desk_duplicates
from galago.cli.desk import AlbumDesk
from galago.errors import GalagoError, OptionError
from galago.media.pool import PicturePool
from galago.progress import Stage
from tests.helpers.albums import FakeEmbedder, check, paths_in, photo
from tests.helpers.serving import ask, serving
from tests.helpers.waiting import until


class Model(FakeEmbedder):
    """Says whether its desk's lock is held while it works."""

    def __init__(self, lock: list[threading.Lock]) -> None:
        super().__init__("fake-1")
        self._lock = lock
        self.alone: list[bool] = []

    def embed_pixels(self, pixel_values: Float) -> Float:
        self.alone.append(self._lock[0].locked())
        return super().embed_pixels(pixel_values)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten of them."""
    for seed in range(10):
        photo(tmp_path / "photos" / f"{seed}.png", "red", seed)
    return tmp_path / "photos"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    lock: list[threading.Lock] = []
    model = Model(lock)

    class Opening:
        def __init__(self, source: str = "small", **_: Any) -> None:
            self.source = source

        def name(self) -> str:
            return self.source

        def load(self, pool: PicturePool) -> FakeEmbedder:
            return model if self.source == "small" else FakeEmbedder(f"fake-{self.source}")

    monkeypatch.setattr(room, "ClipOpening", Opening)
    with PicturePool(1) as pool:
        one = AlbumDesk(None, None, pool, threads=None, offline=True)
        lock.append(one.lock)
        yield one, model


def silent(stage: Stage, done: int, total: int) -> None:
    """Nobody listens."""


def test_a_new_album_is_made_and_searched_at_once(desk: Any, tmp_path: Path, photos: Path) -> None:
    one, model = desk
    indexer = DeskIndexer(one)
    assert indexer.folders() == []
    parts = {"indexer": indexer, "duplicates": desk_duplicates(one)}
    with serving(tmp_path, one.guide, parts=parts) as served:
        assert ask(f"{served.url}/api/page").json["album"] is None
        assert ask(f"{served.url}/api/index", {"folder": str(photos)}).status == 200
        assert until(lambda: not ask(f"{served.url}/api/index").json["running"])
        state = ask(f"{served.url}/api/index").json
        assert state["result"]["photos"] == 10 and state["album"] == [str(photos)]
        assert ask(f"{served.url}/api/page").json["album"]["photos"] == 10
        assert ask(f"{served.url}/api/search", {"text": "red"}).json["hits"]
        # Once more over what is known, and without a name.
        assert ask(f"{served.url}/api/index", {}).status == 200
        assert until(lambda: not ask(f"{served.url}/api/index").json["running"])
        assert ask(f"{served.url}/api/index").json["result"]["unchanged"] == 10
    assert len(model.alone) == 2 and all(model.alone)  # batches of 8
    check(album_folder())
    with Store.open(album_folder()) as store:
        head = store.head()
        assert head is not None and head.source == "small"


def test_an_album_that_had_no_photo_yet_is_looked_at_again(desk: Any, photos: Path) -> None:
    one, _ = desk
    with pytest.raises(KeyboardInterrupt):
        index(album_folder(), [photos], _interrupt, source="small")
    with pytest.raises(GalagoError, match="no photos yet"):
        one.guide()
    DeskIndexer(one).run([]).go(silent)
    assert one.guide().count() == 10


def _interrupt() -> Any:
    raise KeyboardInterrupt


def test_the_albums_own_model_is_used(desk: Any, photos: Path) -> None:
    one, model = desk
    own = FakeEmbedder("fake-other")
    index(album_folder(), [photos], lambda: own, source="other")
    photo(photos / "new.png", "blue", 99)
    DeskIndexer(one).run([str(photos)]).go(silent)
    assert len(paths_in(album_folder())) == 11 and not model.encoded


def test_folders_that_cannot_be(desk: Any, tmp_path: Path) -> None:
    one, _ = desk
    indexer = DeskIndexer(one)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for wrong, told in (
        ([], "no folder yet"),
        ([str(tmp_path / "none")], "there is no folder"),
        ([str(tmp_path / "file")], "is a file"),
    ):
        with pytest.raises(OptionError, match=told):
            indexer.run(wrong)
    with pytest.raises(GalagoError, match="no picture"):
        indexer.run([str(tmp_path / "empty")]).go(silent)
    assert not album_folder().exists()  # nothing is left of an album made for nothing


def test_stopped_it_keeps_what_was_recorded(desk: Any, photos: Path) -> None:
    class Enough(BaseException):
        pass

    def report(stage: Stage, done: int, total: int) -> None:
        if done == 8 and total:
            raise Enough

    one, _ = desk
    run = DeskIndexer(one).run([str(photos)])
    with pytest.raises(Enough):
        run.go(report)
    assert len(paths_in(album_folder())) == 8 and one.guide().count() == 8
    rest = DeskIndexer(one).run([])
    rest.go(silent)
    assert (rest.tally.encoded, rest.tally.unchanged) == (2, 8)
