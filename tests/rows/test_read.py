"""Which format a file or a folder is, and what is none."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.rows.read import read_data
from tests.helpers.rows import llava, paint, write_json, write_lines

FLAT = [{"image": "a.png", "answer": "cat", "question": "What?"}]


def test_each_format_by_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "labels" / "cat" / "a.png")
    write_json(tmp_path / "llava.json", [llava()])
    write_lines(tmp_path / "flat.JSONL", FLAT)
    (tmp_path / "table.csv").write_text("image,label\na.png,cat\n")
    paint(tmp_path / "metadata" / "a.png")
    write_lines(
        tmp_path / "metadata" / "metadata.jsonl", [{"file_name": "a.png", "text": "A cat."}]
    )
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "0.tar", "w") as tar:
        tar.add(tmp_path / "metadata" / "a.png", "a.png")
    kinds = {
        "llava.json": "LLaVA's conversations in a JSON list",
        "flat.JSONL": "questions and answers in JSON lines",
        "table.csv": "a table of pictures and answers",
        "labels": "folders of labels",
        "metadata": "questions and answers in JSON lines",
        "tars": "WebDataset tars",
        "tars/0.tar": "WebDataset tars",
    }
    monkeypatch.chdir(tmp_path)
    for name, kind in kinds.items():
        data = read_data(name)
        assert (data.kind, len(data.rows)) == (kind, 1), name
    assert read_data("metadata").rows[0].pictures[0].digest()


def test_pictures_lie_beside_the_file_or_where_it_is_said(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [llava("x/a.png")])
    found = read_data(str(path)).rows[0].pictures[0]
    assert found.path == str(tmp_path / "x" / "a.png")  # type: ignore[attr-defined]
    paint(tmp_path / "elsewhere" / "x" / "a.png")
    other = read_data(str(path), images=str(tmp_path / "elsewhere"))
    assert other.rows[0].pictures[0].digest() and other.images == str(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        ("", {}, "the name of the data is empty"),
        ("nowhere", {}, "no such file or folder"),
        ("null\0byte", {}, "no such file or folder"),
        ("pipe", {}, "neither a file nor a folder"),
        ("loop", {}, "neither a file nor a folder"),
        ("/dev/zero", {}, "neither a file nor a folder"),
        ("notes.txt", {}, "none of the formats that are read: LLaVA's JSON"),
        ("a.zip", {}, "compressed: unpack it first"),
        ("a.tar.gz", {}, "compressed: unpack it first"),
        ("empty", {}, "holds no file of rows"),
        ("two", {}, "several files of rows: give one of a.csv, b.jsonl"),
        ("none.json", {}, "has no rows"),
        ("rows.json", {"images": "nowhere"}, "--images nowhere is no folder"),
        ("rows.json", {"question": "What?"}, "--question is for data without questions"),
        ("flat.jsonl", {"question": "What?"}, "--question is for data without questions"),
        ("labels", {"question": " "}, "--question is empty"),
        ("labels", {"images": "."}, "--images is for data that names its pictures"),
        ("closed", {}, "closed can't be read: Permission denied"),
    ],
)
def test_what_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: str, options: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    for name in ("notes.txt", "a.zip", "a.tar.gz", "two/a.csv", "two/b.jsonl"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("hello")
    Path("empty").mkdir()
    write_json(Path("none.json"), [])
    write_json(Path("rows.json"), [llava()])
    write_lines(Path("flat.jsonl"), FLAT)
    paint(Path("labels/cat/a.png"))
    if make == "closed":

        def refused(path: object = ".") -> object:
            raise PermissionError(13, "Permission denied", os.fspath(path))  # type: ignore[call-overload]

        Path("closed").mkdir()
        monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(OptionError, match=said):
        read_data(make, **options)
