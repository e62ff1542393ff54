"""The limits, and how they are set."""

from __future__ import annotations

import pytest

from galago.errors import ImageError, OptionError
from galago.media import limits
from galago.media.images import open_image
from tests.helpers.pictures import photo, saved


@pytest.mark.parametrize("text", ["", " ", "250", "0.5", "1e2"])
def test_a_limit_of_one_s_own(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", text)
    assert limits.limit() == (float(text) * 1e6 if text.strip() else limits.MAX_PIXELS)


@pytest.mark.parametrize("text", ["many", "-1", "0", "nan", "inf", "1e9"])
def test_what_no_limit_can_be(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GALAGO_MAX_MEGAPIXELS", text)
    with pytest.raises(OptionError, match="GALAGO_MAX_MEGAPIXELS"):
        limits.limit()
    for kind in ("JPEG", "PNG", "WEBP"):
        with pytest.raises(OptionError, match="GALAGO_MAX_MEGAPIXELS"):
            open_image(saved(photo(), kind))


def test_sizes_and_bytes() -> None:
    limits.check_size((10_000, 10_000), "it")
    limits.check_size((20_000, 20_000), "it", reducible=True)
    for size in ((10_001, 10_000), (0, 5), (1, 1_000_001)):
        with pytest.raises(ImageError):
            limits.check_size(size, "it")
    limits.affordable(1e9, "it")
    with pytest.raises(ImageError, match="it would take 1.1 GB"):
        limits.affordable(1.1e9, "it")
