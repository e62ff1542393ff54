"""The description of the API: nothing from elsewhere, examples that work as they stand."""

from __future__ import annotations

import base64
import html
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from galago.album import Duplicates, Guide, Searcher, Summary
from galago.album.keeper import Keeper
from tests.helpers.albums import FakeEmbedder, photo, update
from tests.helpers.serving import Served, ask, data_url, serving

UNIX = pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")


@pytest.fixture(scope="module")
def described(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, Path]]:
    """A server with an album of two photos, and a folder with note.png."""
    place = tmp_path_factory.mktemp("examples")
    (place / "note.png").write_bytes(base64.b64decode(data_url().partition(",")[2]))
    for name in ("red", "blue"):
        photo(place / "photos" / f"{name}.png", name)
    update(place / "album", place / "photos")
    with Searcher(place / "album") as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        keeper = Keeper(place / "album", FakeEmbedder(), "fake")
        parts = {"indexer": _Indexer(), "duplicates": lambda *_: Duplicates()}
        with serving(folder, lambda: guide, seen=keeper, parts=parts) as served:
            yield served, place
        keeper.close()


class _Indexer:
    """Has nothing to do."""

    tally = Summary()

    def folders(self) -> list[str]:
        return []

    def run(self, folders: object) -> _Indexer:
        return self

    def go(self, report: object) -> None:
        """Done."""

    def give_up(self) -> None:
        """Nothing to."""


def examples(page: str) -> list[tuple[str, str, str]]:
    """Language, route and text of each example of the page."""
    found = re.findall(r'aria-label="(\w+): (\w+ [^"]+)"><code>(.*?)</code></pre>', page, re.DOTALL)
    return [(language, route, html.unescape(text)) for language, route, text in found]


def test_the_page_takes_nothing_from_elsewhere(served: Served) -> None:
    page = ask(f"{served.url}/docs").body.decode()
    assert "/v1/chat/completions" in page and "<script" not in page and "src=" not in page
    addresses = re.findall(r"href='([^']*)'", page)
    assert addresses and all(one[0] in "/#" and one[:2] != "//" for one in addresses)
    for own in addresses:
        if own.startswith("#"):
            assert f"id='{own[1:]}'" in page


def test_the_page_has_a_style_that_the_policy_allows(folder: Path) -> None:
    with serving(folder, api_key="k") as served:  # a browser's address bar can't send a key
        page = ask(f"{served.url}/docs").body.decode()
        (style,) = re.findall(r"<link rel='stylesheet' href='([^']+)'>", page)
        reply = ask(served.url + style)
        assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/css")
        assert "style-src 'self'" in reply.headers["Content-Security-Policy"]
        assert "<style" not in page and " style=" not in page


def test_every_route_has_an_example(served: Served) -> None:
    page = ask(f"{served.url}/docs").body.decode()
    routes = {
        f"{verb.upper()} {path}"
        for path, route in ask(f"{served.url}/openapi.json").json["paths"].items()
        for verb in route
    }
    by_curl = {route for language, route, _ in examples(page) if language == "curl"}
    assert by_curl == routes
    by_python = {route for language, route, _ in examples(page) if language == "Python"}
    assert by_python >= {route for route in routes if route.startswith("POST")}


@UNIX
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_examples_for_the_shell_work_as_they_stand(described: tuple[Served, Path]) -> None:
    served, place = described
    for language, route, text in examples(ask(f"{served.url}/docs").body.decode()):
        if language == "curl" and "/{" not in text:  # a name to fill in
            done = subprocess.run(
                ["sh", "-c", text.replace("curl ", "curl -sS --noproxy '*' --fail-with-body ", 1)],
                cwd=place, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, (route, done.stdout, done.stderr)
    assert (place / "photo.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.slow
def test_examples_for_python_work_as_they_stand(described: tuple[Served, Path]) -> None:
    served, place = described
    texts = [
        text
        for language, _, text in examples(ask(f"{served.url}/docs").body.decode())
        if language == "Python" and ("openai" not in text or importlib.util.find_spec("openai"))
    ]
    assert texts
    program = "\n".join(f"exec({text!r}, {{}})\nprint('\\n==')" for text in texts)  # one process
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert all(part.strip() for part in done.stdout.split("==")[: len(texts)])
