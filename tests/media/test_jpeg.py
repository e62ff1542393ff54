"""JPEGs: large ones, those with another picture behind, and those without an end."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError
from galago.media import limits
from galago.media.images import load_pixels, open_image
from galago.specs import ImageSpec
from tests.helpers.pictures import opened_near, photo, saved


def enlarged(data: bytes, width: int, height: int) -> bytes:
    """The same data under a header that says another size."""
    place = data.index(b"\xff\xc0")
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def flat(width: int, height: int) -> bytes:
    """A grey JPEG of any size in a few bytes a block: every block is one bit of DC, one of AC."""
    table = b"\xff\xdb\0\x43\0" + bytes([1] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\1\x11\0"
    codes = b"".join(
        b"\xff\xc4" + struct.pack(">HB", 20, kind) + bytes([1] + [0] * 15) + b"\0"
        for kind in (0x00, 0x10)
    )
    blocks = -(-width // 8) * -(-height // 8)
    scan = b"\xff\xda" + struct.pack(">H", 8) + b"\1\1\0\0\x3f\0" + bytes(-(-blocks // 4))
    return b"\xff\xd8" + table + frame + codes + scan + b"\xff\xd9"


def test_two_hundred_megapixels_are_read_reduced() -> None:
    data = flat(16320, 12240)
    values, size = load_pixels(data, ImageSpec(side=256, fit="crop"))
    assert size == (16320, 12240) and values.shape == (3, 256, 256)
    assert abs(float(values.mean()) - 128 / 255) < 0.01
    assert max(opened_near(data, 3000).size) < 16320  # which a side alone would not reduce


def test_the_limit_is_on_what_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(photo(400, 300), "JPEG")
    monkeypatch.setattr(limits, "MAX_PIXELS", 50_000)
    assert open_image(data).size == (200, 150)
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", "0.2")
    assert open_image(data).size == (400, 300)
    monkeypatch.setattr(limits, "MAX_PIXELS", 20_000)
    monkeypatch.delenv("GALAGO_MAX_MEGAPIXELS")
    with pytest.raises(ImageError, match=r"\(400x300\) is larger than 0.02 megapixels"):
        open_image(data)


def mpo() -> bytes:
    return saved(photo(1600, 1200), "MPO", save_all=True, append_images=[photo(320, 240, seed=2)])


def test_a_second_picture_behind_changes_nothing() -> None:
    data = mpo()
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert opened_near(data, 75).size == (400, 300)
    assert open_image(data).size == (1600, 1200)
    alone = data[: data.index(b"\xff\xd9\xff\xd8") + 2]
    assert opened_near(data, 75).tobytes() == opened_near(alone, 75).tobytes()


def test_a_damaged_index_of_pictures_costs_nothing() -> None:
    data = bytearray(mpo())
    place = data.index(b"MPF\0")
    data[place + 8 : place + 60] = b"\xff" * 52
    assert open_image(bytes(data)).size == (1600, 1200)


KINDS = [
    {},
    {"progressive": True},
    {"restart_marker_blocks": 3},
    {"restart_marker_rows": 1},
    {"subsampling": 0, "quality": 95},
]


@pytest.mark.parametrize("options", KINDS)
def test_only_the_end_marker_is_missing(options: dict[str, object]) -> None:
    data = saved(photo(300, 200), "JPEG", **options)
    assert data.endswith(b"\xff\xd9")
    whole = open_image(data).tobytes()
    for cut in (data[:-1], data[:-2], data[:-2] + bytes(100)):
        assert open_image(cut).tobytes() == whole


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", KINDS)
def test_cut_short_is_damaged(options: dict[str, object], mode: str) -> None:
    data = saved(photo(160, 120).convert(mode), "JPEG", **options)
    noisy = saved(Image.effect_noise((160, 120), 90).convert(mode), "JPEG", **options)
    for stored in (data, noisy):
        for lost in (5, 9, 40, len(stored) // 3):
            with pytest.raises(ImageError, match="cut short"):
                open_image(stored[:-lost])


@pytest.mark.parametrize("lost", range(3, 12))
def test_cut_at_a_restart_marker_is_damaged(lost: int) -> None:
    """Where libjpeg would have made up the rest without a bit that is missing."""
    data = saved(photo(160, 120), "JPEG", restart_marker_blocks=2)
    places = [n for n in range(len(data) - 1) if data[n] == 0xFF and 0xD0 <= data[n + 1] <= 0xD7]
    for cut in (places[-lost], places[-lost] + 2):
        with pytest.raises(ImageError, match="cut short"):
            open_image(data[:cut])


def scans(data: bytes, count: int) -> bytes:
    """The last scan of a progressive JPEG so many times."""
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def test_scans_without_end_are_refused() -> None:
    data = saved(photo(300, 200), "JPEG", progressive=True)
    assert open_image(scans(data, 40)).size == (300, 200)
    with pytest.raises(ImageError, match="of 30[0-9]{2} scans, which would take too long"):
        open_image(scans(data, 3000))
    large = saved(Image.new("L", (6000, 5000)), "JPEG", progressive=True)
    with pytest.raises(ImageError, match="scans"):
        open_image(scans(large, 90))


def test_coefficients_that_would_be_held_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A progressive one is held whole, however much it is reduced."""
    image = Image.fromarray(np.zeros((400, 500, 3), np.uint8))
    monkeypatch.setattr(limits, "MAX_PIXELS", 50_000)
    assert opened_near(saved(image, "JPEG", subsampling=0), 100)
    with pytest.raises(ImageError, match="memory"):
        opened_near(saved(image, "JPEG", progressive=True, subsampling=0), 100)
    assert enlarged(saved(image, "JPEG"), 10, 10)
