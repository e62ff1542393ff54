"""When a picture was taken, by what its EXIF says, sound or not."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from galago.errors import ImageError
from galago.media.exif import date_in
from galago.media.images import date_taken, load_square
from galago.media.pool import PicturePool
from galago.specs import ImageSpec

SPEC = ImageSpec(8)
ORIGINAL, DIGITIZED, CHANGED = 0x9003, 0x9004, 0x0132


def exif(original: object = None, digitized: object = None, changed: object = None) -> Image.Exif:
    found = Image.Exif()
    own = found.get_ifd(0x8769)
    for tag, place, value in (
        (ORIGINAL, own, original),
        (DIGITIZED, own, digitized),
        (CHANGED, found, changed),
    ):
        if value is not None:
            place[tag] = value
    return found


def picture(kind: str, found: Image.Exif | bytes | None = None) -> bytes:
    stream = io.BytesIO()
    options = {} if found is None else {"exif": found}
    Image.new("RGB", (16, 12), (200, 30, 30)).save(stream, kind, **options)
    return stream.getvalue()


def both(data: bytes) -> tuple[str, str]:
    """With the pixels, and without decoding them."""
    return load_square(data, SPEC).taken, date_taken(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_day_is_read_with_the_pixels_and_without(kind: str) -> None:
    data = picture(kind, exif("2025:06:14 18:30:05", changed="2026:01:01 00:00:00").tobytes())
    assert both(data) == ("2025-06-14 18:30:05",) * 2
    assert both(picture(kind)) == ("", "")


def test_the_first_date_that_can_be_one_counts() -> None:
    odd = "0000:00:00 00:00:00"
    taken, scanned, saved = ("2025:06:14 18:30:05", "2025:06:15 08:00:00", "2025:06:16 09:00:00")
    assert both(picture("JPEG", exif(taken, scanned, saved)))[0].startswith("2025-06-14")
    assert both(picture("JPEG", exif(odd, scanned, saved)))[0].startswith("2025-06-15")
    assert both(picture("JPEG", exif(odd, None, saved)))[0].startswith("2025-06-16")
    assert both(picture("JPEG", exif(odd, odd, odd))) == ("", "")


def test_a_png_may_have_it_at_its_end() -> None:
    body = exif("2025:06:14 18:30:05").tobytes()[6:]
    check = struct.pack(">I", zlib.crc32(b"eXIf" + body))
    whole = picture("PNG")
    data = whole[:-12] + struct.pack(">I", len(body)) + b"eXIf" + body + check + whole[-12:]
    assert both(data) == ("2025-06-14 18:30:05",) * 2


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2025:06:14 18:30:05", "2025-06-14 18:30:05"),
        ("2025:06:14 18:30:05\0", "2025-06-14 18:30:05"),
        (b"2025:06:14 18:30:05\0\0", "2025-06-14 18:30:05"),
        ("2025-06-14T18:30:05.123+02:00", "2025-06-14 18:30:05"),
        ("2025:06:14", "2025-06-14 00:00:00"),
        ("2025/6/4 8:03", "2025-06-04 08:03:00"),
        ("    :  :     :  :  ", ""),
        ("0000:00:00 00:00:00", ""),
        ("1970:01:01 00:00:00", ""),  # a clock that was never set
        ("2025:02:30 10:00:00", ""),
        ("2025:06:14 25:00:00", ""),
        ("2568:06:14 18:30:05", ""),  # the Buddhist calendar
        ("1404:03:24 18:30:05", ""),  # the Persian one
        ("20250614", ""),
        ("令和7年6月14日", ""),
        ("x" * 100_000, ""),
        (b"\xff\xfe\x00", ""),
        (20250614, ""),
        ((2025, 6, 14), ""),
        (None, ""),
    ],
)
def test_what_cannot_be_a_photos_date_is_none(value: object, found: str) -> None:
    assert date_in(value) == found


def test_a_clock_that_is_ahead_is_not_believed() -> None:
    tomorrow, later = (datetime.now() + timedelta(days=days) for days in (1, 3))
    assert date_in(tomorrow.strftime("%Y:%m:%d %H:%M:%S"))
    assert date_in(later.strftime("%Y:%m:%d %H:%M:%S")) == ""


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
        + b"\x87\x69\0\x04\0\0\0\x01\0\0\0\x08" * 400,  # a circle
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x02\0\xff\xff\xff\xff\x10\0\0\0",
        b"Exif\0\0" + bytes(range(256)) * 200,
        b"\0" * 60_000,
    ],
)
def test_garbage_is_no_date_and_leaves_the_pixels(block: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = picture("JPEG")
    data = data[:2] + segment + data[2:]
    assert both(data) == ("", "")


def test_both_orders_of_bytes_and_a_huge_block() -> None:
    found = exif("2025:06:14 18:30:05")
    found.get_ifd(0x8769)[0x927C] = b"\0" * (1 << 19)
    assert both(picture("PNG", found.tobytes())) == ("2025-06-14 18:30:05",) * 2
    own = struct.pack(">HHHII", 1, ORIGINAL, 2, 20, 44) + bytes(4) + b"2025:06:14 18:30:05\0"
    main = struct.pack(">HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)
    block = b"Exif\0\0MM\0*\0\0\0\x08" + main + own
    assert both(picture("JPEG", block)) == ("2025-06-14 18:30:05",) * 2


def test_a_pool_hands_it_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture("JPEG", exif("2025:06:14 18:30:05")))
    with PicturePool(1) as pool:
        assert pool.load_square(path, SPEC).taken == "2025-06-14 18:30:05"
        assert pool.date_taken(path) == "2025-06-14 18:30:05"
        path.write_bytes(b"no picture at all, but long enough to be read")
        with pytest.raises(ImageError, match="not a picture"):
            pool.date_taken(path)
