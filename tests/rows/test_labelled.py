"""Folders of labels: what a folder is called is the answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.rows.labelled import has_labels, in_words, read_labelled
from galago.rows.rows import Turn
from tests.helpers.rows import paint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at, name in enumerate(["golden_retriever/2.png", "golden_retriever/1.jpg", "cat/a/b.png"]):
        paint(tmp_path / name, at)
    return tmp_path


def test_a_row_a_picture(folder: Path) -> None:
    data = read_labelled(str(folder), None)
    rows = [data.rows[at] for at in range(len(data.rows))]
    assert [row.where for row in rows] == [
        os.path.join("cat", "a", "b.png"),
        os.path.join("golden_retriever", "1.jpg"),
        os.path.join("golden_retriever", "2.png"),
    ]
    assert rows[1].turns == (Turn("What is this?", "golden retriever"),)
    assert rows[1].pictures[0].digest()
    assert data.notes == ("2 labels: cat, golden retriever; asked about each: 'What is this?'",)
    assert read_labelled(str(folder), "Which?").rows[0].turns[0].question == "Which?"


def test_what_is_left_out_is_told(folder: Path) -> None:
    paint(folder / "loose.png")
    paint(folder / ".hidden" / "x.png")
    paint(folder / "__MACOSX" / "x.png")
    paint(folder / "cat" / "._a.png")
    paint(folder / "cat" / ".git" / "a.png")
    (folder / "cat" / "notes.txt").write_text("no picture")
    (folder / "empty").mkdir()
    (folder / "cat" / "round").symlink_to(folder)
    data = read_labelled(str(folder), None)
    assert len(data.rows) == 3
    assert data.notes[1:] == (
        "without a picture: empty",
        "left out, as they lie in no folder of a label: 1 picture",
    )


def test_splits_are_no_labels(tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "val/cat/1.png"):
        paint(tmp_path / name)
    with pytest.raises(OptionError, match="'train', which is no label: give .*train$"):
        read_labelled(str(tmp_path), None)


def test_whether_a_folder_is_one(folder: Path) -> None:
    assert has_labels(str(folder))
    assert not has_labels(str(folder / "golden_retriever"))
    assert in_words("t-shirt__red ") == "t-shirt red"
