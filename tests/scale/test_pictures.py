"""A row's picture by its name."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from galago.errors import ImageError
from galago.scale.pictures import Pictures
from tests.helpers.albums import photo


def test_files_and_members_of_tars(tmp_path: Path) -> None:
    first = photo(tmp_path / "a#b.png", "red")
    second = photo(tmp_path / "deeper" / "c.png", "blue")
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        tar.add(second, "deeper/c.png")
    pictures = Pictures()
    assert pictures.read(str(first)) == first.read_bytes()
    inside = f"{tmp_path / 'all.tar'}#deeper/c.png"
    assert pictures.read(inside) == second.read_bytes()
    with pytest.raises(ImageError, match="has no gone.png any more"):
        pictures.read(f"{tmp_path / 'all.tar'}#gone.png")


@pytest.mark.parametrize("name", ["/no/where.png", "/no/where.tar#a.png"])
def test_what_isnt_there(name: str) -> None:
    with pytest.raises(ImageError, match="can't be read"):
        Pictures().read(name)


@pytest.mark.parametrize("name", ["https://example.com/a.png", "s3://bucket/a.tar#b.png"])
def test_nobody_is_contacted_offline(name: str) -> None:
    with pytest.raises(ImageError, match="--offline contacts nobody"):
        Pictures(offline=True).read(name)
