"""A few pictures of a video: one a view, in bounded time, whatever the file is like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import ImageError, VideoError
from galago.media import pool as pool_module
from galago.media.pool import PicturePool
from galago.media.stills import MOST, still_at, stills
from galago.media.video import Video
from tests.helpers.videos import SIZE, shots, view, write_video

pytest.importorskip("av", reason="the extra `video` is not installed")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four views, ten seconds each."""
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", shots([1, 2, 3, 4], 50), fps=5)


def _shows(pixels: np.ndarray, seed: int) -> bool:
    return float(np.abs(pixels.astype(int) - view(seed)).mean()) < 20


def test_each_view_is_seen_once(film: Path) -> None:
    found = stills(str(film), 320)
    assert len(found) == 4
    assert all(_shows(still.pixels, seed) for still, seed in zip(found, (1, 2, 3, 4), strict=True))
    assert [still.second // 10 for still in found] == [0, 1, 2, 3]


def test_they_are_small_and_no_more_than_asked_for(film: Path) -> None:
    found = stills(str(film), 80, most=2)
    assert [still.pixels.shape for still in found] == [(60, 80, 3)] * 2
    assert [still.second // 10 for still in found] == [1, 3]


def test_a_short_one_has_one(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", shots([1], 12))
    assert len(stills(str(path), 320)) == 1


def test_a_black_beginning_is_left_out(tmp_path: Path) -> None:
    black = [np.zeros((SIZE[1], SIZE[0], 3), np.uint8)] * 50
    path = write_video(tmp_path / "a.mp4", [*black, *shots([5], 50)])
    assert [_shows(still.pixels, 5) for still in stills(str(path), 320)] == [True]
    only = write_video(tmp_path / "b.mp4", black)
    assert len(stills(str(only), 320)) == 1


def test_what_is_cut_short_is_seen_as_far_as_it_goes(film: Path, tmp_path: Path) -> None:
    data = film.read_bytes()
    (tmp_path / "half.mp4").write_bytes(data[: len(data) * 6 // 10])
    found = stills(str(tmp_path / "half.mp4"), 320)
    assert 1 <= len(found) < 4 and _shows(found[0].pixels, 1)


def test_one_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no picture"):
        stills(str(write_video(tmp_path / "a.mp4", [])), 320)


def test_a_jump_decodes_no_more_than_a_bound(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far apart the pictures are that FFmpeg can begin with."""
    monkeypatch.setattr("galago.media.video._MOST", 3)
    monkeypatch.setattr("galago.media.video._FEWEST", 3)
    decoded = 0
    real = Video._decoded

    def counting(self: Video):  # type: ignore[no-untyped-def]
        nonlocal decoded
        for picture in real(self):
            decoded += 1
            yield picture

    monkeypatch.setattr(Video, "_decoded", counting)
    stills(str(film), 320)
    assert 0 < decoded <= 4 * MOST


def test_a_moment_is_shown(film: Path) -> None:
    for second, seed in ((2.0, 1), (15.0, 2), (39.5, 4), (999.0, 4)):
        assert _shows(np.asarray(still_at(str(film), second)), seed)
    assert _shows(np.asarray(still_at(str(film))), 1)


def test_a_pool_does_the_same(film: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with PicturePool(1) as pool:
        own, theirs = stills(str(film), 80), pool.stills(str(film), 80)
        assert [still.second for still in own] == [still.second for still in theirs]
        assert all(
            np.array_equal(one.pixels, two.pixels) for one, two in zip(own, theirs, strict=True)
        )
        first = pool.thumbnail(film, 64)
        assert first[:2] == b"\xff\xd8" and first != pool.thumbnail(film, 64, second=25.0)
        for ask in (pool.stills, pool.thumbnail):
            with pytest.raises(ImageError, match="not a video, or damaged"):
                ask(str(tmp_path / "bad.mp4"), 64)


def test_a_video_has_six_times_the_time_of_a_picture(
    film: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    real = pool_module._Worker.ask

    def ask(self: Any, *arguments: Any) -> Any:
        given.append(arguments[-1])
        return real(self, *arguments)

    monkeypatch.setattr(pool_module._Worker, "ask", ask)
    with PicturePool(1, seconds=7) as pool:
        pool.stills(str(film), 80)
        pool.thumbnail(film, 80)
        pool.thumbnail(picture, 80)
    assert given == [42, 42, 7]
