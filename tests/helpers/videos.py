"""Videos made for tests, and the frames that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = (160, 120)
Pixels = NDArray[np.uint8]


def view(seed: int, size: tuple[int, int] = SIZE) -> Pixels:
    """A picture unlike that of any other seed: large coloured blocks, (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((size[1] // 6, size[0] // 8, 1), np.uint8))


def shots(seeds: Sequence[int], frames: int, noise: float = 2.0) -> Iterable[Pixels]:
    """Each view for so many frames, with a sensor's noise."""
    random = np.random.default_rng(0)
    for seed in seeds:
        for _ in range(frames):
            pixels = view(seed) + random.normal(0, noise, (SIZE[1], SIZE[0], 3))
            yield np.clip(pixels, 0, 255).astype(np.uint8)


def write_video(path: Path, frames: Iterable[Pixels], *, fps: int = 10, shape: object = 1) -> Path:
    """A video of these frames; its index stands first, so that it can be cut anywhere."""
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 2_000_000
        stream.codec_context.sample_aspect_ratio = shape
        container.start_encoding()  # a file without frames has its header, too
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path


def write_changes(
    path: Path, shown: Sequence[tuple[float, Pixels]], end: float, *, silence: bool = False
) -> Path:
    """A recording that has a picture only when something changes; the last is shown to `end`.

    With `silence` there is sound from 0 on, which may be before the first picture.
    """
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate, stream.codec_context.max_b_frames = 2_000_000, 2
        sound = container.add_stream("aac", rate=16_000) if silence else None
        if sound is not None:
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.sample_rate, frame.pts = 16_000, 0
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux([*sound.encode(frame), *sound.encode()])
        packets = []
        for at, pixels in shown:
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        last = max(packets, key=lambda packet: packet.pts)
        last.duration = round((end - shown[-1][0]) / last.time_base)
        container.mux(packets)
    return path


def write_unknown(path: Path) -> Path:
    """A Matroska video in a format that nobody knows."""
    data = write_video(path, shots([1], 10)).read_bytes()
    assert b"V_MPEG4/ISO/ASP" in data
    path.write_bytes(data.replace(b"V_MPEG4/ISO/ASP", b"V_NOBODY/HAS/IT"))
    return path


def write_sound(path: Path) -> Path:
    """A second of silence."""
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=16_000)
        frame.sample_rate = 16_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
