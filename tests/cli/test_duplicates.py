"""`galago duplicates`: what a person types and sees."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.albums import photo
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("models")


def test_duplicates(capsys: Capture, tmp_path: Path) -> None:
    folder = tmp_path / "some"
    for colour in ("red", "blue"):
        shutil.copy2(photo(folder / f"{colour}.png", colour), folder / f"{colour} again.png")
    photo(folder / "green.png", "green")
    run(capsys, "index", folder)
    result = run(capsys, "duplicates")
    assert result.code == 0 and result.err == "2 groups of 4 photos\n"
    assert [line[:7] for line in result.out.splitlines()] == ["same   "] * 2 + [""] + [
        "same   "
    ] * 2
    lines = run(capsys, "duplicates", "--json").out.splitlines()
    groups = [json.loads(line)["photos"] for line in lines]
    assert [[(p["likeness"], p["same"]) for p in group] for group in groups] == [
        [(1, True)] * 2
    ] * 2
    (folder / "red again.png").unlink()
    (folder / "blue again.png").unlink()
    run(capsys, "index", folder)
    none = run(capsys, "duplicates", "--threshold", "1")
    assert none.out == "" and none.err == "no two photos are alike\n"
    assert "threshold" in run(capsys, "duplicates", "--threshold", "7").line


def test_only_the_same_content_is_said_to_be_the_same(capsys: Capture, tmp_path: Path) -> None:
    first = photo(tmp_path / "some" / "a.png")
    Image.open(first).save(first.with_name("b.png"), compress_level=0)
    run(capsys, "index", first.parent)
    lines = run(capsys, "duplicates", "--threshold", "1").out.splitlines()
    assert [line[:7] for line in lines] == ["same   ", "0.999  "]
    (one, other) = json.loads(run(capsys, "duplicates", "--json").out)["photos"]
    assert (one["likeness"], one["same"]) == (1, True)
    assert (other["likeness"], other["same"]) == (0.9999, False)


def test_a_page_of_groups_with_sizes_and_dates(capsys: Capture, tmp_path: Path) -> None:
    first = photo(tmp_path / "some" / "<b>.png")
    os.utime(first, (1_700_000_000, 1_700_000_000))
    shutil.copy2(first, first.with_name("again.png"))
    run(capsys, "index", first.parent)
    page = tmp_path / "copies.html"
    result = run(capsys, "duplicates", "--html", page)
    assert result.code == 0 and result.out.count("same") == 2
    text = page.read_text("utf-8")
    assert text.count("<figure>") == 2 and "<h2>Group 1: 2 photos</h2>" in text
    assert "&lt;b&gt;.png" in text and "8 × 8, 0.00 MB" in text and "file of 2023-11-1" in text
    assert "<script" not in text and "<b>" not in text
    for wrong in ("/", first):
        assert run(capsys, "duplicates", "--html", wrong).code == 2
    first.unlink()
    none = run(capsys, "duplicates", "--html", tmp_path / "none.html")
    assert none.code == 0 and not (tmp_path / "none.html").exists()
