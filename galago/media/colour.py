"""Colours of any kind -> sRGB, as the picture's own profile says."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_srgb"]

_LARGEST = 4 << 20  # bytes of a profile; the largest of printers have two million
_SAME = 3  # 8-bit steps; profiles called sRGB differ by so much
_KEPT = 16  # transforms; an album has few cameras
_OUT = {"RGB": "RGB", "RGBA": "RGBA", "L": "RGB", "CMYK": "RGB", "LAB": "RGB"}
_SPACES = {"RGB": "RGB ", "RGBA": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}


def to_srgb(image: Image.Image, icc: bool) -> Image.Image:
    """RGB or RGBA with sRGB's colours, of a picture of 8 bits in any mode.

    `icc`: the profile in it is applied (relative colorimetric, black points matched), unless it is
    sRGB, of another colour space, damaged, or over 4 MB.  Without one the numbers are taken as
    they are.  What is RGB already and needs nothing is returned itself.
    """
    profile = image.info.get("icc_profile") if icc else None
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= _LARGEST:
        profile = None
    if image.mode == "LAB":  # which Pillow doesn't convert
        profile = profile or _lab()
    if profile is None:
        return _plain(image)
    if image.mode == "L" and "transparency" in image.info:  # one grey is clear
        image = image.convert("LA")
    if image.mode == "LA" and profile[16:20] == b"GRAY":
        grey, alpha = image.split()
        grey.info["icc_profile"] = profile
        coloured = to_srgb(grey, icc)
        coloured.putalpha(alpha)
        return coloured
    if image.mode not in ("CMYK", "LAB") and profile[16:20] == b"RGB ":
        image = _plain(image)
    transform = _transform(profile, image.mode) if image.mode in _OUT else None
    if transform is None:
        return _plain(image)
    out = transform.apply(image)
    out.info.pop("icc_profile", None)  # it is applied
    return out


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "RGBA") and (image.mode == "RGBA" or "transparency" not in image.info):
        return image
    if image.mode in {"La", "RGBa"}:  # premultiplied
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


@lru_cache(_KEPT)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from the profile to sRGB; None where there is none, or nothing to change."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            _OUT[mode],
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE,
        )
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError, TypeError):  # damaged
        return None
    probe = _probe(mode)
    if probe is not None:
        plain = np.asarray(probe.convert(_OUT[mode])).astype(int)
        if np.abs(np.asarray(transform.apply(probe)) - plain).max() <= _SAME:
            return None
    return transform


def _probe(mode: str) -> Image.Image | None:
    """Colours of every kind, in which a profile that isn't sRGB shows itself."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    if mode in ("RGB", "RGBA"):
        levels = np.arange(0, 256, 17, dtype=np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
        return Image.fromarray(cube).convert(mode)
    return None


@lru_cache(1)
def _lab() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
