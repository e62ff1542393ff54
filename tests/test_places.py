"""Where galago keeps things, and what a typed path means."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from galago.errors import StorageError
from galago.places import DATA, MODELS, as_path, cache_dir, graphs_dir, home_path, slug


def test_the_package_has_its_data_and_models() -> None:
    assert (DATA / "selfcheck").is_dir() and (MODELS / "fastvlm-nano").is_dir()


def test_the_cache_is_where_it_is_told_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.home()
    monkeypatch.setenv("GALAGO_CACHE", "~/here")
    assert cache_dir() == home / "here" and graphs_dir() == home / "here" / "graphs"
    if sys.platform == "linux":
        monkeypatch.delenv("GALAGO_CACHE")
        assert cache_dir() == home / ".cache" / "galago"
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
        assert cache_dir() == home / "xdg" / "galago"


@pytest.mark.skipif(sys.platform == "win32", reason="homes of POSIX")
def test_a_home_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAGO_CACHE", "~nobody-of-this-name/x")
    with pytest.raises(StorageError, match="set HOME"):
        cache_dir()
    assert graphs_dir() is None
    with pytest.raises(StorageError, match="~nobody-of-this-name"):
        home_path("~nobody-of-this-name")
    assert as_path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


def test_a_name_becomes_one_part_of_a_path() -> None:
    assert slug("apple/FastVLM-0.5B") == "apple--FastVLM-0.5B"
    assert slug("../../etc") == "etc" and slug("..") == slug("") == "model"
    assert len(slug("x" * 1000)) == 150
