"""The built page, which is committed, is of today's sources: a forgotten `make page` is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.places import TOP
from tools import page


def test_the_built_page_is_of_todays_sources() -> None:
    assert page.fault() is None, f"{page.fault()}: run `make page` and commit {page.BUILT}"


@pytest.fixture
def copies(tmp_path: Path) -> tuple[Path, Path]:
    """The sources and the built page, to be changed."""
    sources, built = tmp_path / "page", tmp_path / "static"
    shutil.copytree(TOP / "page" / "src", sources / "src")
    for name in page.BESIDE:
        shutil.copy(TOP / "page" / name, sources)
    shutil.copytree(page.BUILT, built)
    assert page.fault(sources, built) is None
    return sources, built


def test_a_change_of_any_source_is_noticed(copies: tuple[Path, Path]) -> None:
    sources, built = copies
    (sources / "src" / "dom.ts").rename(sources / "src" / "dome.ts")
    assert page.fault(sources, built) == "page/ has changed since it was built"
    (sources / "src" / "dome.ts").rename(sources / "src" / "dom.ts")
    assert page.fault(sources, built) is None
    with (sources / "index.html").open("a") as file:
        file.write(" ")
    assert page.fault(sources, built) == "page/ has changed since it was built"


def test_a_built_page_that_is_not_whole_is_noticed(copies: tuple[Path, Path]) -> None:
    sources, built = copies
    (built / "assets" / "index-other.js").touch()
    assert "index-other.js" in (page.fault(sources, built) or "")
    shutil.rmtree(built / "assets")
    assert "its assets are []" in (page.fault(sources, built) or "")
    (built / "index.html").unlink()
    assert "index.html is missing" in (page.fault(sources, built) or "")
