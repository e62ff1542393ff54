"""Frames with times out of files, good and bad."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.errors import CutShortError, ImageError, MissingExtraError, VideoError
from galago.media.frames import Frame
from galago.media.video import Video
from tests.helpers.videos import (
    SIZE,
    shots,
    view,
    write_changes,
    write_sound,
    write_unknown,
    write_video,
)

pytest.importorskip("av", reason="the extra `video` is not installed")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three views, two seconds each, ten frames a second."""
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", shots([1, 2, 3], 20))


def times(path: Path, every: float = 0.0) -> list[float]:
    with Video(path) as video:
        return [round(frame.at, 3) for frame in video.frames(every)]


def test_every_frame_has_its_time(clip: Path) -> None:
    assert times(clip) == [round(count / 10, 3) for count in range(60)]
    assert times(clip, 1.0) == [0, 1, 2, 3, 4, 5]
    assert times(clip, 0.25) == [count / 4 for count in range(24)]
    assert times(clip, 100) == [0]


def seen(path: Path, every: float) -> list[int]:
    """Which view each moment shows."""
    views = {seed: view(seed).astype(np.int16) for seed in range(1, 6)}
    with Video(path) as video:
        shown = [np.asarray(frame.image(), np.int16) for frame in video.frames(every)]
    return [min(views, key=lambda seed: float(np.abs(views[seed] - one).mean())) for one in shown]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_of_changes_shows_what_a_full_one_shows(tmp_path: Path, suffix: str) -> None:
    """A slide that comes just before a moment is shown then, and for as long as it stays."""
    changes = [(0, view(1)), (1.9, view(2)), (1.97, view(3)), (7, view(4)), (7.45, view(5))]
    sparse = write_changes(tmp_path / f"sparse{suffix}", changes, 10.0)
    pictures = [[pixels for at, pixels in changes if at <= k / 10][-1] for k in range(100)]
    full = write_video(tmp_path / f"full{suffix}", pictures)
    assert seen(sparse, 2.0) == seen(full, 2.0) == [1, 3, 3, 3, 5]
    assert seen(sparse, 1.0) == seen(full, 1.0) == [1, 1, 3, 3, 3, 3, 3, 4, 5, 5]
    with Video(sparse) as video:
        assert len(list(video.frames())) == 5
        assert video.end == pytest.approx(10, abs=0.05)


def test_times_count_from_where_the_sound_begins(tmp_path: Path) -> None:
    changes = [(1.5, view(1)), (3.0, view(2))]
    path = write_changes(tmp_path / "late.mp4", changes, 4.0, silence=True)
    assert times(path) == pytest.approx([1.5, 3.0], abs=0.01)
    assert seen(path, 1.0) == [1, 1, 1, 2]
    with Video(path) as video:
        assert video.duration == pytest.approx(4.0, abs=0.05)


def test_files_joined_end_to_end_are_seen_whole(tmp_path: Path) -> None:
    parts = [write_video(tmp_path / f"{s}.ts", shots([s], 30)).read_bytes() for s in (1, 2, 3)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    assert seen(path, 1.0) == [1] * 3 + [2] * 3 + [3] * 3


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
def test_frames_are_the_pictures(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"clip{suffix}", shots([7, 8], 10, noise=0))
    with Video(path) as video:
        frames = list(video.frames(1.0))
    assert len(frames) == 2
    for seed, frame in zip((7, 8), frames, strict=True):
        image = frame.image()
        assert image.mode == "RGB" and image.size == SIZE
        off = np.abs(np.asarray(image, np.int16) - view(seed)).mean()
        other = np.abs(np.asarray(image, np.int16) - view(9)).mean()
        assert off < 20 < other
        small = frame.grey()
        assert small.shape == (64, 64) and small.dtype == np.float32
        assert abs(float(small.mean()) - np.asarray(image.convert("L")).mean()) < 8


def turned(clip: Path, path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The clip with a, b, c, d in its display matrix."""

    def number(value: int) -> bytes:
        return (value & 0xFFFFFFFF).to_bytes(4, "big")

    a, b, c, d = (0x10000 * one for one in matrix)
    end = number(0x40000000)
    plain = b"".join(map(number, (0x10000, 0, 0, 0, 0x10000, 0, 0, 0))) + end
    other = b"".join(map(number, (a, b, 0, c, d, 0, 0, 0))) + end
    data = clip.read_bytes()
    at = data.index(plain, data.index(b"tkhd"))
    path.write_bytes(data[:at] + other + data[at + len(plain) :])
    return path


ORIENTATIONS: dict[str, tuple[tuple[int, int, int, int], Callable[[Any], Any]]] = {
    "as it is": ((1, 0, 0, 1), lambda one: one),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "on its head": ((-1, 0, 0, -1), lambda one: np.rot90(one, 2)),
    "on its head, mirrored": ((1, 0, 0, -1), np.flipud),
    "with the clock": ((0, 1, -1, 0), lambda one: np.rot90(one, -1)),
    "against the clock": ((0, -1, 1, 0), np.rot90),
    "transposed": ((0, 1, 1, 0), lambda one: one.swapaxes(0, 1)),
    "transposed, on its head": ((0, -1, -1, 0), lambda one: np.rot90(one.swapaxes(0, 1), 2)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_telephone_held_in_any_way(clip: Path, tmp_path: Path, name: str) -> None:
    """The file says in its display matrix how to turn and mirror the pictures."""
    matrix, turn = ORIENTATIONS[name]
    with Video(turned(clip, tmp_path / "turned.mp4", matrix)) as video:
        image = next(iter(video.frames())).image()
    expected = turn(view(1))
    assert image.size == expected.shape[1::-1]
    assert np.abs(np.asarray(image, np.int16) - expected).mean() < 20


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    shape = Fraction(64, 45)
    with Video(write_video(tmp_path / "wide.mkv", shots([1], 3), shape=shape)) as video:
        frame = next(iter(video.frames()))
    assert frame.image().size == (round(SIZE[0] * shape), SIZE[1])
    assert frame.grey().shape == (64, 64)


def test_a_name_of_odd_bytes(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "concat:http --x%41'\u00e9.mp4"
    path.write_bytes(clip.read_bytes())
    assert len(times(path)) == 60
    if sys.platform == "linux":
        odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.mp4"))
        odd.write_bytes(clip.read_bytes())
        assert len(times(odd)) == 60


def _no_frames(path: Path) -> None:
    write_video(path, [])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: None, "no such video"),
    "a folder": (lambda p: p.mkdir(), "folder"),
    "empty": (lambda p: p.write_bytes(b""), "empty"),
    "text": (lambda p: p.write_text("Dear diary,\n" * 100), "not a video"),
    "only sound": (write_sound, "only sound"),
    "no frames": (_no_frames, "holds|not a video|damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_video(tmp_path: Path, case: str) -> None:
    make, said = BAD[case]
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(VideoError, match=said) as error:
        times(path)
    assert "clip.mp4" in str(error.value) and "\n" not in str(error.value)
    assert isinstance(error.value, ImageError) and not isinstance(error.value, CutShortError)


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_would_be_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.mp4"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(VideoError, match="clip.mp4 is a pipe or a device, no video file"):
        Video(path)


def test_cut_short_before_its_first_picture(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.read_bytes()[:200])
    with pytest.raises(VideoError, match="cut short"):
        times(path)


def test_cut_short_in_the_middle(clip: Path, tmp_path: Path) -> None:
    """What can be read is given, then it is said that something is missing."""
    data = clip.read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) * 6 // 10])
    got = []
    with Video(path) as video, pytest.raises(CutShortError, match=r"nothing after 0:0\d.\d of"):
        for frame in video.frames():
            got.append(frame.at)
    assert 10 < len(got) < 50


def test_a_last_picture_that_is_shown_for_long_is_no_missing_end(
    clip: Path, tmp_path: Path
) -> None:
    import av

    held = tmp_path / "held.mp4"
    with av.open(str(clip)) as source, av.open(str(held), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        packets[-1].duration = round(20 / packets[-1].time_base)
        for packet in packets:
            packet.stream = stream
            container.mux(packet)
    with Video(held) as video:
        assert video.duration and video.duration > 20
        assert len(list(video.frames())) == len(packets)


def remux(clip: Path, path: Path, delay: float, subtitles: float = 0.0) -> Path:
    """The clip's pictures so many seconds later, and one subtitle at that time, if any."""
    import av

    with av.open(str(clip)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        if subtitles:
            ass = container.add_stream("ass")
            ass.codec_context.extradata = b"[Script Info]\n"
            container.start_encoding()
        for packet in packets:
            packet.pts += round(delay / packet.time_base)
            packet.dts += round(delay / packet.time_base)
            packet.stream = stream
            container.mux(packet)
        if subtitles:
            words = av.Packet(b"0,0,Default,,0,0,0,,The end")
            words.stream, words.time_base = ass, Fraction(1, 1000)
            words.pts = words.dts = round(subtitles * 1000)
            words.duration = 1000
            container.mux(words)
    return path


def test_pictures_that_begin_late_are_whole(clip: Path, tmp_path: Path) -> None:
    with Video(remux(clip, tmp_path / "late.mkv", 5.0)) as video:
        found = [frame.at for frame in video.frames()]
        assert len(found) == 60 and found[0] == 0
        assert video.duration == pytest.approx(6, abs=0.1)


def test_a_subtitle_after_the_last_picture_is_no_missing_end(clip: Path, tmp_path: Path) -> None:
    assert len(times(remux(clip, tmp_path / "clip.mkv", 0.0, subtitles=30.0))) == 60


def test_a_picture_without_a_time_has_that_of_the_one_before(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picture:
        duration = time_base = None

        def __init__(self, time: float | None) -> None:
            self.time = time

    pictures = [Picture(time) for time in (0.0, 0.5, 1.0, None, None, 5.0)]
    with Video(clip) as video:
        monkeypatch.setattr(video, "_decoded", lambda: iter(pictures))
        assert [frame.at for frame in video.frames()] == [0, 0.5, 1, 1, 1, 5]


def test_damaged_in_the_middle(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = os.urandom(4000)
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    got = []
    try:
        with Video(path) as video:
            for frame in video.frames():
                got.append(frame.at)
    except CutShortError as error:
        assert "damaged" in str(error)
    assert len(got) > 20, "it goes on behind the damage, or says where it stopped"


def test_a_format_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"odd.mkv is in a format .* can't decode"):
        times(write_unknown(tmp_path / "odd.mkv"))


@pytest.mark.parametrize("kind", ["EOFError", "PatchWelcomeError", "ExternalError", "MemoryError"])
def test_no_error_of_ffmpeg_gets_through(
    clip: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Some are neither OSError nor ValueError."""
    import av

    error = getattr(av.error, kind)(1, "not now")

    class Broken:
        def fail(self, *_: object, **__: object) -> object:
            raise error

        demux = decode = reformat = to_image = fail

    with Video(clip) as video:
        packets = list(video._packets())
        monkeypatch.setattr(video, "_packets", lambda: iter([*packets[:9], Broken(), *packets[9:]]))
        with pytest.raises(CutShortError, match="1 pieces"):
            list(video.frames())
    with Video(clip) as video:
        container, video._container = video._container, Broken()  # type: ignore[assignment]
        with pytest.raises(VideoError, match="no picture"):
            list(video.frames())
        video._container = container
    for convert in (Frame.grey, Frame.image):
        with pytest.raises(VideoError, match=r"picture at 0:02.5 can't be read"):
            convert(Frame(2.5, Broken()))
    monkeypatch.setattr(av, "open", Broken().fail)
    with pytest.raises(VideoError, match="not a video"):
        Video(clip)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.ffconcat"])
def test_a_list_of_addresses_is_not_followed(tmp_path: Path, name: str) -> None:
    """A "video" may be a playlist; nothing on the network, not even here, is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n"
        if name.endswith("concat"):
            text = f"ffconcat version 1.0\nfile {address}\n"
        (tmp_path / name).write_text(text)
        with pytest.raises(VideoError):
            times(tmp_path / name)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody stands at the door
            server.accept()


def test_without_pyav(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match="to install the extra video: ") as error:
        Video(clip)
    assert isinstance(error.value, VideoError)
    with pytest.raises(VideoError, match="no such video"):
        Video("none.mp4")
