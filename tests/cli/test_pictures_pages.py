"""Files that hold several pictures: which one was looked at is told, and can be chosen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.commandline import run
from tests.helpers.pictures import photo

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    frames = [Image.new("RGB", (60, 40), "white"), photo(), photo(seed=1)]
    frames[0].save(tmp_path / "scan.tiff", save_all=True, append_images=frames[1:])
    return tmp_path / "scan.tiff"


def test_which_page_was_looked_at_is_told(capsys: Capture, ready: Path, scan: Path) -> None:
    result = run(capsys, "describe", scan, "-m", ready, *SHORT, "--json")
    assert "picture 1 of 3 in it; --page N looks at another" in result.err
    record = json.loads(result.out)
    assert (record["page"], record["pages"]) == (1, 3)
    one = run(capsys, "describe", scan, "-m", ready, *SHORT, "--json", "--page", "2")
    assert one.err == "" and json.loads(one.out)["page"] == 2


def test_a_page_that_is_not_there(capsys: Capture, ready: Path, scan: Path) -> None:
    result = run(capsys, "describe", scan, "-m", ready, *SHORT, "--page", "9")
    assert result.code == 2 and "has no page 9: it has 3" in result.err


def test_of_many_too(capsys: Capture, ready: Path, scan: Path) -> None:
    photo().save(scan.with_name("a.jpg"))
    result = run(capsys, "describe", scan.parent, "-m", ready, *SHORT, "--json")
    records = {Path(r["picture"]).name: r for r in map(json.loads, result.out.splitlines())}
    assert records["scan.tiff"]["pages"] == 3 and "pages" not in records["a.jpg"]
    assert result.err.count("picture 1 of 3") == 1


def test_profiles_can_be_ignored(
    capsys: Capture, ready: Path, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAGO_ICC", "")
    assert run(capsys, "describe", scan, "-m", ready, *SHORT, "--no-icc").code == 0
    assert os.environ["GALAGO_ICC"] == "0"
