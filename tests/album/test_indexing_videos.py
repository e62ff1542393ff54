"""Videos in an album: a few moments each, one hit each, and gone with their file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.album import Part, Searcher, Store, find_duplicates
from galago.album import contents as contents_module
from galago.album.contents import digest_of
from galago.album.store import content_hash, write_lock
from galago.album.write import Writer, forget
from galago.errors import ImageError, VideoError
from galago.media.stills import Still
from tests.helpers.albums import COLOURS, FakeEmbedder, older, paths_in, photo, update

pytest.importorskip("av", reason="the extra `video` is not installed")

MODEL = FakeEmbedder()


def _video(path: Path, *colours: str, age: float = 100.0) -> Path:
    """What `opened` shows as these colours, one every ten seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(colours))
    older(path, age)
    return path


def opened(path: str, side: int) -> list[Still]:
    colours = Path(path).read_text().split()
    if not colours:
        raise VideoError(f"{path} holds no picture that can be decoded; is it damaged?")
    plain = [np.full((8, 8, 3), COLOURS[colour], np.uint8) for colour in colours]
    return [Still(10.0 * number, pixels) for number, pixels in enumerate(plain)]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return tmp_path / "album"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photo(tmp_path / "photos" / "grey.png", "grey", 1)
    _video(tmp_path / "photos" / "clip.mp4", "red", "green", "blue")
    return tmp_path / "photos"


def _index(album: Path, *folders: Path, model: FakeEmbedder | None = None, **options: object):  # type: ignore[no-untyped-def]
    return update(album, *folders, model=model, open_video=opened, **options)


def _hits(album: Path, words: str) -> list[tuple[str, float | None]]:
    with Searcher(album) as searcher:
        found = searcher.search([Part(MODEL.embed_texts([words])[0])], k=9)
        return [(Path(hit.path).name, hit.second) for hit in found]


def _unused(album: Path) -> list[bool]:
    with Store.open(album) as store:
        found = store.db.execute("SELECT unused IS NOT NULL FROM vectors ORDER BY row")
        return [bool(one) for (one,) in found]


def test_a_video_is_one_hit_with_its_best_moment(album: Path, folder: Path) -> None:
    summary = _index(album, folder)
    assert (summary.encoded, summary.photos) == (2, 2) and len(_unused(album)) == 4
    for colour, second in (("red", 0.0), ("green", 10.0), ("blue", 20.0)):
        assert _hits(album, colour)[0] == ("clip.mp4", second)
    assert sorted(_hits(album, "grey"), key=str)[1][0] == "grey.png"
    assert len(_hits(album, "grey")) == 2 and ("grey.png", None) in _hits(album, "grey")
    again = FakeEmbedder()
    assert _index(album, model=again).unchanged == 2 and again.encoded == 0


def test_one_that_is_gone_is_left_out_once(album: Path, folder: Path) -> None:
    _index(album, folder)
    (folder / "clip.mp4").unlink()
    with Searcher(album) as searcher:
        found = searcher.search([Part(MODEL.embed_texts(["red"])[0])], k=9)
    assert [Path(hit.path).name for hit in found] == ["grey.png"] and found.left_out.missing == 1


def test_moves_and_copies_are_known(album: Path, folder: Path) -> None:
    _index(album, folder)
    (folder / "deep").mkdir()
    (folder / "clip.mp4").rename(folder / "deep" / "moved.mp4")
    shutil.copy2(folder / "deep" / "moved.mp4", folder / "copy.mp4")
    model = FakeEmbedder()
    summary = _index(album, model=model)
    assert (summary.known, summary.gone, model.encoded) == (2, 1, 0)
    with Searcher(album) as searcher:
        hit = searcher.search([Part(MODEL.embed_texts(["blue"])[0])], k=9)[0]
    assert hit.second == 20.0 and {
        Path(hit.path).name,
        *(Path(one).name for one in hit.copies),
    } == {
        "copy.mp4",
        "moved.mp4",
    }


def test_its_moments_go_with_it_and_come_back(album: Path, folder: Path) -> None:
    _index(album, folder)
    data = (folder / "clip.mp4").read_bytes()
    (folder / "clip.mp4").unlink()
    _index(album)
    assert _unused(album) == [False, True, True, True]
    assert {name for name, _ in _hits(album, "red")} == {"grey.png"}
    (folder / "clip.mp4").write_bytes(data)
    older(folder / "clip.mp4")
    assert _index(album).known == 1 and _unused(album) == [False] * 4
    assert _hits(album, "green")[0] == ("clip.mp4", 10.0)


def test_one_that_changed_is_seen_anew(album: Path, folder: Path) -> None:
    _index(album, folder)
    _video(folder / "clip.mp4", "yellow", age=50)
    assert _index(album).encoded == 1
    assert _hits(album, "yellow")[0] == ("clip.mp4", 0.0)
    assert _unused(album) == [False, True, True, True, False]


def test_compacting_moves_its_moments(album: Path, folder: Path) -> None:
    _video(folder / "a.mp4", "yellow", "grey")
    _index(album, folder)
    (folder / "a.mp4").unlink()
    _index(album)
    with write_lock(album), Store.open(album, write=True) as store, Writer(store) as writer:
        assert writer.compact(before=4e9) == 2
        assert store.count("frames") == 3
    assert _hits(album, "blue")[0] == ("clip.mp4", 20.0)


def test_forgetting_leaves_nothing_of_it(album: Path, folder: Path) -> None:
    _index(album, folder)
    with write_lock(album), Store.open(album, write=True) as store:
        assert forget(store, str(folder)) == 2
        assert store.count("vectors") == store.count("frames") == 0


def test_no_videos_are_taken_when_told_so(album: Path, folder: Path) -> None:
    _index(album, folder)
    summary = _index(album, videos=False)
    assert summary.gone == 1 and summary.passed_over == {".mp4": 1}
    assert _index(album).passed_over == {".mp4": 1}  # it holds
    assert _index(album, videos=True).known == 1


def test_without_the_extra_they_are_passed_over(
    album: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    summary = _index(album, folder)
    assert summary.passed_over == {".mp4": 1} and summary.encoded == 1


def test_one_that_cannot_be_read_is_noted(album: Path, folder: Path) -> None:
    _video(folder / "bad.mp4")
    summary = _index(album, folder)
    ((path, reason),) = summary.failed
    assert path.endswith("bad.mp4") and reason.startswith("holds no picture")
    assert _index(album).noted == 1


def test_videos_come_behind_photos(album: Path, folder: Path) -> None:
    order: list[str] = []

    class Notes(FakeEmbedder):
        def prepare(self, picture, *, name=None):  # type: ignore[no-untyped-def]
            order.append("video" if isinstance(picture, np.ndarray) else "photo")
            return super().prepare(picture, name=name)

    photo(folder / "z.png", "green", 3)
    _index(album, folder, model=Notes())
    assert order == ["photo", "photo", "video", "video", "video"]


def test_moments_of_a_video_are_no_copies_of_each_other(album: Path, folder: Path) -> None:
    _video(folder / "still.mp4", "red", "red", "red")
    _video(folder / "same.mp4", "red", "red", "red")
    _index(album, folder)

    def grey(source: object, side: int) -> object:
        raise ImageError("no picture")

    for alike in (False, True):
        groups = find_duplicates(album, load_grey=grey, alike=alike)  # type: ignore[arg-type]
        names = [[Path(copy.path).name for copy in group] for group in groups]
        assert names == [["same.mp4", "still.mp4"]] and groups.alike == 0


def test_a_large_one_is_known_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents_module, "_WHOLE", 4000)
    monkeypatch.setattr(contents_module, "_PIECE", 100)
    data = bytearray(os.urandom(50_000))

    def digest(name: str) -> bytes | None:
        (tmp_path / name).write_bytes(data)
        with open(tmp_path / name, "rb") as file:
            return digest_of(file, str(tmp_path / name))

    first = digest("a.mp4")
    assert first == digest("b.MP4") != content_hash(bytes(data)).digest()
    assert digest("a.jpg") == content_hash(bytes(data)).digest()
    for place in (0, 50, len(data) - 1, (len(data) - 100) // 15 + 1):
        data[place] ^= 1
        assert digest("a.mp4") != first
        data[place] ^= 1
    data.append(0)
    assert digest("a.mp4") != first


def test_real_ones(album: Path, tmp_path: Path) -> None:
    from galago.media.pool import PicturePool
    from tests.helpers.videos import SIZE, write_video

    frames = [
        np.asarray(Image.new("RGB", SIZE, COLOURS[colour]))
        for colour in ("red", "blue")
        for _ in range(40)
    ]
    (tmp_path / "photos").mkdir()
    path = write_video(tmp_path / "photos" / "clip.mkv", frames)
    with PicturePool(1) as pool:
        update(album, path.parent, open_video=pool.stills)
    assert paths_in(album) == [str(path)]
    assert _hits(album, "red")[0] == ("clip.mkv", 2.0)
