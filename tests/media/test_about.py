"""What headers tell of pictures."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from galago.errors import ImageError
from galago.media.about import About, about
from galago.media.pool import PicturePool


def jpeg(clock: object = None, orientation: int | None = None) -> bytes:
    exif, out = Image.Exif(), io.BytesIO()
    if clock is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = clock
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (30, 20)).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (jpeg(), About((30, 20))),
        (jpeg("2024:05:31 18:20:05"), About((30, 20), "2024-05-31 18:20:05")),
        (jpeg("2024:05:31 18:20:05", 6), About((20, 30), "2024-05-31 18:20:05")),
        (jpeg("0000:00:00 00:00:00"), About((30, 20))),
        (jpeg("    :  :     :  :  "), About((30, 20))),
        (jpeg("yesterday"), About((30, 20))),
    ],
)
def test_size_and_clock(picture: bytes, found: About) -> None:
    assert about(picture) == found


def test_nothing_is_decoded(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jpg"
    Image.effect_noise((400, 300), 90).save(cut, quality=95)
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    assert about(cut).size == (400, 300)


def test_what_is_no_picture_is_told_without_its_path(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    with pytest.raises(ImageError, match="^the photo is not a picture galago can read$"):
        about(text, name="the photo")
    with PicturePool(1) as pool:
        with pytest.raises(ImageError, match="^the photo is not a picture"):
            pool.about(text, name="the photo")
        assert pool.about(jpeg("2024:05:31 18:20:05")).taken == "2024-05-31 18:20:05"
