"""`/api/search` by folder, date and text."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from galago.album import Guide, Searcher
from tests.helpers.albums import FakeEmbedder, photo, say, update
from tests.helpers.serving import ask, serving


@pytest.fixture(scope="module")
def searched(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server's address, and the folder of its photos: six red ones of March 2024, six blue."""
    root = tmp_path_factory.mktemp("searched")
    for number in range(6):
        red = photo(root / "p/red" / f"{number}.png", "red", number)
        then = datetime(2024, 3, number + 1, 12).timestamp()
        os.utime(red, (then, then))
        photo(root / "p/blue" / f"{number}.png", "blue", number)
    update(root / "album", root / "p")
    say(root / "album", "blue", "2", "an invoice for paint")
    with Searcher(root / "album") as searcher:
        guide = Guide("mine", searcher, FakeEmbedder(), threading.Lock())
        with serving(folder, lambda: guide) as served:
            yield f"{served.url}/api/search", root / "p"


def test_the_filters_of_the_command_line(searched: tuple[str, Path]) -> None:
    url, root = searched

    def found(**query: Any) -> Any:
        return ask(url, query).json

    hits = found(text="a red thing", folder=str(root / "blue"))["hits"]
    assert len(hits) == 6 and all("/blue/" in hit["path"] and not hit["match"] for hit in hits)
    listed = found(since="2024-03-02", until="2024-03-04")
    assert [hit["name"] for hit in listed["hits"]] == ["3.png", "2.png", "1.png"]
    first = listed["hits"][0]
    assert first["score"] is None and first["match"] and listed["note"] is None
    assert (first["taken"], first["taken_by"]) == ("2024-03-04 12:00:00", "file")
    (hit,) = found(text="invoice", text_only=True)["hits"]
    assert (hit["name"], hit["text"], hit["text_kind"]) == ("2.png", "an invoice for paint", "read")
    assert found(text="invoice", text_only=True, folder=str(root / "red")) == {
        "hits": [],
        "any_match": False,
        "note": "no photo from there or then was found",
        "searched_for": None,
        "strange": [],
    }
    assert "no picture has these words" in found(text="发票", text_only=True)["note"]
    top = found(text="invoice", k=1)["hits"][0]
    assert top["name"] == "2.png" and top["text"] and top["close"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"folder": "red"}, "folder must be a full path"),
        ({"folder": "/nowhere/at/all"}, "there is no folder /nowhere/at/all"),
        ({"folder": "/etc"}, "album 'album' has no photo in /etc"),
        ({"since": "soon"}, "'soon' is no date"),
        ({"since": "2025", "minus": "people"}, "say what to look for"),
        ({"text_only": True}, "text_only looks for words alone"),
        (
            {"text": "a", "text_only": True, "image": "data:image/png;base64,AA=="},
            "text_only looks",
        ),
        ({"text": "a", "since": "2" * 50}, "since"),
        ({"text": "a", "folders": ["/"]}, "unknown field 'folders': did you mean folder?"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    searched: tuple[str, Path], query: dict[str, Any], said: str
) -> None:
    answer = ask(searched[0], query)
    assert answer.status == 400 and said in answer.json["error"]["message"]
