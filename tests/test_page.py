"""The built page, which is committed, is of today's sources: a forgotten `make page` is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.places import TOP
from tools import page

BOTH = pytest.mark.parametrize("built", [page.SERVER, page.WEB], ids=["server", "web"])


@BOTH
def test_the_built_page_is_of_todays_sources(built: Path) -> None:
    wrong = page.fault(built=built)
    assert wrong is None, f"{wrong}: run `make page` and commit {built}"


@pytest.fixture(params=[page.SERVER, page.WEB], ids=["server", "web"])
def copies(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The sources and a built page, to be changed."""
    sources, built = tmp_path / "page", tmp_path / "static"
    for folder in ("src", "web"):
        shutil.copytree(TOP / "page" / folder, sources / folder)
    for name in page.BESIDE:
        shutil.copy(TOP / "page" / name, sources)
    shutil.copytree(request.param, built)
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
