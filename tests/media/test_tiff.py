"""TIFFs of every depth, sign, order and layout: as they look, or refused by name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from galago.errors import ImageError
from galago.media.images import open_image

tifffile = pytest.importorskip("tifffile")

RAMP = np.linspace(0, 1, 4096).reshape(64, 64)
TOPS = {"u1": 255, "u2": 65535, "u4": 2**32 - 1, "u8": 2**64 - 1, "i1": 127, "i2": 32767}
TOPS |= {"i4": 2**31 - 1, "f2": 1, "f4": 1, "f8": 1}


def tiff(values: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, **options)
    return out.getvalue()


def numbers(kind: str, layout: str) -> tuple[np.ndarray, dict[str, Any]]:
    values = np.minimum(RAMP * TOPS[kind], np.nextafter(TOPS[kind], 0)).astype(kind)
    if layout == "grey":
        return values, {"photometric": "minisblack"}
    if layout == "white":
        return (values.max() - values), {"photometric": "miniswhite"}
    planar = layout == "planar"
    return np.stack([values] * 3, 0 if planar else -1), {
        "photometric": "rgb",
        "planarconfig": "separate" if planar else "contig",
    }


@pytest.mark.parametrize("layout", ["grey", "white", "rgb", "planar"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [None, "zlib"])
def test_right_or_refused(layout: str, order: str, packed: str | None) -> None:
    right = set()
    for kind in TOPS:
        values, options = numbers(kind, layout)
        if packed and kind in ("f2", "f4", "f8"):
            options["predictor"] = None
        data = tiff(values, byteorder=order, compression=packed, **options)
        try:
            found = np.asarray(open_image(data)).astype(int)
        except ImageError as error:
            assert "is a TIFF of " in str(error), (kind, error)
            continue
        right.add(kind)
        assert np.abs(found - (RAMP * 255)[..., None]).max() <= 1, kind
    assert "u1" in right
    if order == "<" or layout != "white":
        assert layout == "planar" or "u2" in right
    if layout == "grey":
        assert {"u1", "u2", "i2", "i4", "f4"} <= right and ("u4" in right or order == ">")


@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_colours_of_fewer_bits_in_16(bits: int, order: str, packed: str | None) -> None:
    values = np.stack([np.rint(RAMP * (2**bits - 1)).astype(np.uint16)] * 3, -1)
    data = tiff(values, photometric="rgb", byteorder=order, compression=packed)
    found = np.asarray(open_image(data)).astype(int)
    assert np.abs(found - (RAMP * 255)[..., None]).max() <= 1


def test_numbers_with_a_sign_are_refused_below_zero() -> None:
    with pytest.raises(ImageError, match="numbers below 0"):
        open_image(tiff((RAMP * 4000 - 2000).astype(np.int16), photometric="minisblack"))


def test_what_it_is_stands_in_the_message() -> None:
    for values, options, words in (
        (RAMP, {}, "64-bit floats"),
        (np.zeros((5, 8, 8), np.uint8), {"planarconfig": "separate"}, "5 bands, each apart"),
        (np.zeros((8, 8, 3), np.float32), {"photometric": "rgb"}, "32-bit floats in 3 bands"),
        (np.zeros((8, 8), np.int8), {}, "8-bit numbers with a sign"),
    ):
        with pytest.raises(ImageError, match=words):
            open_image(tiff(values, **({"photometric": "minisblack"} | options)))
