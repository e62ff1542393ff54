"""What tests of the trainer draw with."""

from __future__ import annotations

import io

import pytest
from PIL import ImageFont


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Pillow's own font as a file."""
    held = ImageFont.load_default(20)
    assert isinstance(held, ImageFont.FreeTypeFont)
    path = tmp_path_factory.mktemp("font") / "own.ttf"
    stream = held.path
    path.write_bytes(stream.getvalue() if isinstance(stream, io.BytesIO) else b"")
    return str(path)
