"""Names of albums, and where they lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from galago.album import album_folder, album_names, albums_dir
from galago.errors import OptionError


def test_albums_live_where_they_are_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "here"))
    assert album_folder("holiday 2019") == tmp_path / "here" / "holiday 2019"
    assert album_names() == []
    monkeypatch.delenv("GALAGO_ALBUMS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert albums_dir() == tmp_path / "data" / "galago" / "albums"


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "a\\b", "..", ".hidden", "a\nb", "x" * 201, "é" * 101, "a "]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match="an album can't be called"):
        album_folder(name)
