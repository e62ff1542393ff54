"""What a picture may cost, asked before it is decoded; pages and frames."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, ImageFile

from galago.errors import ImageError
from galago.media import formats, limits
from galago.media.images import Source, load_pixels, load_square, open_image
from galago.specs import ImageSpec
from tests.helpers.pictures import BLUE, RED, WHITE, photo, png_header, saved


def webp_header(edge: int, kind: bytes = b"VP8X") -> bytes:
    """A WebP of 36 bytes that claims to be so large."""
    side = (edge - 1).to_bytes(3, "little")
    body = b"\x10\0\0\0" + side + side
    if kind == b"VP8L":
        body = b"\x2f" + ((edge - 1) | (edge - 1) << 14).to_bytes(4, "little") + bytes(5)
    data = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data)) + data


@pytest.fixture
def nothing_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)


@pytest.mark.usefixtures("nothing_decoded")
def test_what_would_take_too_much_memory_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (b"VP8X", b"VP8L"):
        with pytest.raises(ImageError, match="would take 1.6 GB of memory"):
            open_image(webp_header(9990, kind))
        with pytest.raises(ImageError, match="larger than 100 megapixels"):
            open_image(webp_header(16000, kind))
    jp2 = bytearray(saved(photo(64, 64), "JPEG2000"))
    for name, offset in ((b"ihdr", 4), (b"\xff\x4f\xff\x51", 8)):
        place = jp2.index(name) + offset
        jp2[place : place + 8] = struct.pack(">II", 9000, 9000)
    with pytest.raises(ImageError, match="would take 2.0 GB of memory"):
        open_image(bytes(jp2))
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", "50")
    with pytest.raises(ImageError, match="larger than 50 megapixels"):
        open_image(png_header(8000, 8000))


@pytest.mark.usefixtures("nothing_decoded")
@pytest.mark.parametrize("inner", ["PNG", "JPEG2000"])
def test_icons_are_looked_at_before_they_are_decoded(inner: str) -> None:
    if inner == "PNG":
        large = png_header(9000, 9000)
    else:
        changed = bytearray(saved(photo(64, 64), "JPEG2000"))
        place = changed.index(b"\xff\x4f\xff\x51") + 8
        changed[place : place + 8] = struct.pack(">II", 9000, 9000)
        large = bytes(changed)
    icns = b"ic10" + struct.pack(">I", len(large) + 8) + large
    icns = b"icns" + struct.pack(">I", len(icns) + 8) + icns
    ico = b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(large), 22) + large
    for data in (icns, ico):
        with pytest.raises(ImageError, match="is an icon of 9000x9000 pixels"):
            open_image(data)


@pytest.mark.parametrize("kind", ["ICO", "ICNS"])
def test_icons_open(kind: str) -> None:
    icon = photo(256, 256).convert("RGBA")
    assert open_image(saved(icon, kind)).size[0] >= 256
    if kind == "ICO":
        assert open_image(saved(icon, kind, bitmap_format="bmp")).size == (256, 256)


def test_what_is_decoded_in_python_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    small = saved(photo(), "QOI")
    assert open_image(small).tobytes() == photo().tobytes()
    large = bytearray(small)
    large[4:12] = struct.pack(">II", 4000, 4000)
    for data in (bytes(large), b"P3\n4000 4000\n255\n" + b"1 " * 100):
        with pytest.raises(ImageError, match="takes too long above 2 megapixels"):
            open_image(data)


def test_comments_without_end() -> None:
    pixels = b"\n".join(b"1 2 3" for _ in range(100))
    assert open_image(b"P3\n# by hand\n10 10\n255\n# here they are\n" + pixels).size == (10, 10)
    assert open_image(b"P6\n#\n1 1\n255\nabc").size == (1, 1)
    for data in (
        b"P5\n#" + b"x" * 100_000 + b"\n10 10\n255\n" + bytes(100),
        b"P5\n" + b"#\n" * 50_000 + b"10 10\n255\n" + bytes(100),
        b"P2\n10 10\n255\n" + b"#xx\n1 " * 18_000,
    ):
        with pytest.raises(ImageError, match="comments|more than its pixels"):
            open_image(data)


def pages(source: Source) -> tuple[int, int]:
    square = load_square(source, ImageSpec(side=64), count_pages=True)
    return square.page, square.pages


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_begins_empty(kind: str) -> None:
    frames = [Image.new("RGB", (120, 80), WHITE)] * 2 + [photo(), photo(seed=1)]
    for n, frame in enumerate(frames):
        frames[n] = frame.copy()
        frames[n].putpixel((n, 0), RED if n > 1 else WHITE)
    frames[1].putpixel((5, 5), (254, 255, 255))  # otherwise it would be one frame with the first
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    shown, of = pages(data)
    assert 1 < shown <= 3 and of >= 3
    assert len(np.unique(np.asarray(open_image(data)).reshape(-1, 3), axis=0)) > 1
    values, _ = load_pixels(data, ImageSpec(side=64, fit="crop"), page=3)
    assert values.std() > 0.05


def test_pages_of_a_tiff() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE, WHITE)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert pages(data) == (1, 3) and open_image(data).getpixel((0, 0)) == RED
    assert open_image(data, page=2).getpixel((0, 0)) == BLUE
    for page in (0, 4, -1):
        with pytest.raises(ImageError, match=f"has no page {page}: it has 3"):
            open_image(data, page=page)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_one_picture_is_one_page(kind: str) -> None:
    data = saved(photo(), kind)
    assert pages(data) == (1, 1) and open_image(data, page=1).size == (120, 80)
    with pytest.raises(ImageError, match="has no page 2: it holds one picture"):
        open_image(data, page=2)
    assert pages(photo()) == (1, 1)


def test_deep_colours_of_a_later_page() -> None:
    tifffile = pytest.importorskip("tifffile")
    ramp = np.linspace(0, 4095, 4096).reshape(64, 64).astype(np.uint16)
    out = io.BytesIO()
    pictures = np.stack([np.stack([ramp] * 3, -1), np.stack([ramp[::-1]] * 3, -1)])
    tifffile.imwrite(out, pictures, photometric="rgb")
    found = np.asarray(open_image(out.getvalue(), page=2))
    assert np.abs(found[..., 0] - ramp[::-1] / 4095 * 255).max() <= 1


@pytest.mark.parametrize("head", [webp_header(100), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path, head: bytes) -> None:
    with (tmp_path / "huge").open("wb") as out:
        out.write(head)
        out.truncate(3_000_000_000)  # of which the disk holds next to nothing
    with pytest.raises(ImageError, match="would take 3.0 GB of memory"):
        open_image(tmp_path / "huge")


def test_frames_are_not_counted_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may hold a million."""
    frames = [photo(), photo(seed=1)]
    stored = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])

    def refuse(_: object) -> int:
        raise AssertionError("they were counted")

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "n_frames", property(refuse))
    assert open_image(stored).size == (120, 80)


MEASURE = """
import sys
from galago.media.images import open_image
from galago.memory import peak_memory
before = peak_memory()
open_image(sys.argv[1])
print(peak_memory() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("mode", ["RGBA", "I;16", "turned"])
def test_memory_a_pixel(tmp_path: Path, mode: str) -> None:
    """Two copies at once, however many steps there are."""
    pixels, exif = 3000 * 2000, Image.Exif()
    if mode == "turned":
        exif[0x0112] = 6
    image = Image.new("RGB" if mode == "turned" else mode, (3000, 2000), 9)
    image.putpixel((0, 0), 4000 if mode == "I;16" else 200)
    image.save(tmp_path / "it.png", compress_level=1, exif=exif)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "it.png")],
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(done.stdout) < 10 * pixels + 25_000_000


def test_every_kind_has_a_budget() -> None:
    assert set(formats._BESIDES) <= {*formats._FORMATS, "HEIF"}
    assert limits.limit() == limits.MAX_PIXELS == 100_000_000


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
@pytest.mark.parametrize("counted", [False, True])
def test_a_later_frame_that_is_cut_costs_the_first_nothing(kind: str, counted: bool) -> None:
    """The first is of one colour, so the others are looked at."""
    later = [photo(64, 64, 1), photo(64, 64, 2)]
    data = saved(Image.new("RGB", (64, 64), RED), kind, save_all=True, append_images=later)
    spec = ImageSpec(side=32)
    found = load_square(data[: len(data) * 45 // 100], spec, count_pages=counted)
    assert found.page == 1 and (found.pixels == RED).all()
    assert load_square(data, spec).page == 2


@pytest.mark.parametrize("size", ["1_0 1_0", "+10 +10", "10 -10", "10 10 2_55"])
def test_a_ppm_counts_in_digits(size: str) -> None:
    """Pillow's numbers are Python's, and what galago can't read it can't bound."""
    data = b"P3\n" + size.encode() + b"\n255\n" + b"#\n" * 10_000 + b"1 " * 300
    with pytest.raises(ImageError, match="plain digits"):
        open_image(data)


@pytest.mark.parametrize("magic", [b"P0CMYK", b"PyRGBA", b"PyP"])
def test_no_ppm_begins_with_any_number_of_comments(magic: bytes) -> None:
    with pytest.raises(ImageError, match="bytes of comments"):
        open_image(magic + b"\n" + b"#\n" * 10_000 + b"2 2\n255\n" + bytes(16))


def test_a_comment_within_a_number_of_a_ppm() -> None:
    """Which Pillow reads on after it: 2 and 0 are 20."""
    data = b"P6 2#\n0 2 255\n" + bytes(120)
    assert open_image(data).size == (20, 2)


@pytest.mark.usefixtures("nothing_decoded")
@pytest.mark.parametrize("header", [12, 40, 64, 108, 124])
def test_bitmaps_of_any_age_in_icons_are_looked_at(header: int) -> None:
    """Whatever else stands in them, as the beginning of a small JPEG 2000."""
    sides = struct.pack("<HHHH", 6000, 12000, 1, 32)
    if header > 12:
        sides = struct.pack("<iiHH", 6000, 12000, 1, 32)
    bitmap = (struct.pack("<I", header) + sides).ljust(header, b"\0")
    bitmap += b"\xff\x4f\xff\x51" + bytes(4) + struct.pack(">4I", 8, 8, 0, 0) + bytes(99)
    entry = struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, 32, len(bitmap), 22)
    with pytest.raises(ImageError, match="no icon is that"):
        open_image(b"\0\0\1\0\1\0" + entry + bitmap)


@pytest.mark.usefixtures("nothing_decoded")
def test_an_icon_of_too_many_parts() -> None:
    parts = b"".join(struct.pack(">4sI", b"xx%02x" % (n % 256), 8) for n in range(300))
    with pytest.raises(ImageError, match="more than 256 parts"):
        open_image(b"icns" + struct.pack(">I", 8 + len(parts)) + parts)
