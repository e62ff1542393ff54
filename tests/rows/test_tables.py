"""Tables: columns by their names, lines by their numbers, nothing swallowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.rows.records import Data, Reading
from galago.rows.rows import RowError, Turn
from galago.rows.tables import read_table


def table(path: Path, text: str, encoding: str = "utf-8", question: str | None = None) -> Data:
    path.write_bytes(text.encode(encoding))
    return read_table(str(path), Reading(str(path.parent), question))


def test_questions_and_answers(tmp_path: Path) -> None:
    text = (
        'image,question,answer,id\r\na.png,"What, then?","A\nlong ""answer""",9\r\n\r\n'
        "b.png,Why?,No,8\r\n"
    )
    data = table(tmp_path / "t.csv", text)
    first, second = data.rows[0], data.rows[1]
    assert len(data.rows) == 2 and not data.asks
    assert first.turns == (Turn("What, then?", 'A\nlong "answer"'),)
    assert (first.where, second.where, first.name) == ("t.csv:2", "t.csv:5", "9")
    assert first.pictures[0].name == "a.png"
    assert data.notes == (
        "pictures from the column image, answers from answer; questions from question",
    )


@pytest.mark.parametrize(
    ("name", "encoding", "separator"),
    [
        ("a.csv", "utf-8-sig", ","),
        ("a.csv", "utf-8", ";"),
        ("a.csv", "utf-16", "\t"),
        ("a.tsv", "utf-16-le", "\t"),
        ("a.tsv", "utf-8", "\t"),
    ],
)
def test_what_spreadsheets_write(tmp_path: Path, name: str, encoding: str, separator: str) -> None:
    text = "".join(f"{separator.join(row)}\r\n" for row in (("File", "Label"), ("ü.png", "cät, x")))
    if separator == ",":
        text = text.replace("cät, x", '"cät, x"')
    if encoding == "utf-16-le":
        text = "\ufeff" + text
    data = table(tmp_path / name, text, encoding)
    assert data.rows[0].turns == (Turn("What is this?", "cät, x"),) and data.asks
    assert data.rows[0].pictures[0].name == "ü.png"
    assert ("the table is in UTF-16" in data.notes) == encoding.startswith("utf-16")


def test_ones_own_question(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv", "file_name,answer\na.png,Tuesday\n", question="Which day?")
    assert data.rows[0].turns == (Turn("Which day?", "Tuesday"),)
    assert data.notes[0].endswith("asked about each: 'Which day?'")


def test_a_row_without_picture_is_text_alone(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv", "image,question,answer\n,Hello?,Hi.\n")
    assert data.rows[0].pictures == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.png,What?,A cat.\nb.png,What?,A dog.\n", r"t.csv:1: its first line must name the col"),
        ("question,answer\nHi,Hello\n", "t.csv:1: no column names the pictures"),
        ("image,answer\na.png,b\n", "is a question"),
        ("image,question,anwser\na.png,a,b\n", "t.csv:1: .*; is anwser meant as answer\\?"),
        ("image,Qestion,answer\na.png,a,b\n", "t.csv:1: .*; is Qestion meant as question\\?"),
        ('image,label\na.png,cat\nb.png,"dog\nc.png,cat\n', "t.csv:3: the row that begins here"),
        ('image,label\na.png,"cat" dog\n', "t.csv:2: the row that begins here"),
        ("image,label\na.png," + "x" * 200_000 + "\n", "t.csv:2: .*larger than field limit"),
        ("image,label\na.png,c\0t\n", "UTF-8|no CSV"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        table(tmp_path / "t.csv", text)


def test_other_encodings_are_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="not UTF-8; save it as CSV in UTF-8"):
        table(tmp_path / "t.csv", "image,label\na.png,café\n", "cp1252")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")  # half a letter
    with pytest.raises(OptionError, match="t.csv"):
        read_table(str(tmp_path / "t.csv"), Reading(""))


def test_a_row_with_other_cells_is_a_bad_row(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv", "image,label\na.png,cat, red\nb.png\nc.png,dog\n")
    for at, cells in ((0, 3), (1, 1)):
        with pytest.raises(RowError, match=f"t.csv:{at + 2}: {cells} cells? where .* has 2"):
            data.rows[at]
    assert data.rows[2].turns[0].answer == "dog"
