"""JSON lists and lines: the same rows, the right lines, and a line for each kind of damage."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.rows import json_rows
from galago.rows.json_rows import read_json_rows
from galago.rows.records import Reading
from galago.rows.rows import RowError
from tests.helpers.rows import llava, write_json, write_lines


def read(path: Path) -> list[tuple[str, str, str]]:
    rows = read_json_rows(str(path), Reading(str(path.parent))).rows
    found = [rows[at] for at in range(len(rows))]
    return [(row.where, row.name, row.turns[0].answer) for row in found]


ROWS = [
    llava(name=str(at), answer=answer)
    for at, answer in enumerate(
        ['quo"ted \\ [1, {"a": 2}]', "naïve 猫 🐈", "two\nlines", "x" * 3000]
    )
]


@pytest.mark.parametrize("chunk", [3, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_list_is_read_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None, escaped: bool
) -> None:
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    path = write_json(tmp_path / "a.json", ROWS, indent=indent, ensure_ascii=escaped)
    found = read(path)
    assert [one[2] for one in found] == [row["conversations"][1]["value"] for row in ROWS]
    # the line on which each begins, counted by hand
    text = path.read_text("utf-8")
    starts = [text[: text.index(f'"id": "{at}"')].rindex("{") for at in range(len(ROWS))]
    lines = [text.count("\n", 0, start) + 1 for start in starts]
    assert [one[0] for one in found] == [f"a.json:{line}" for line in lines]


def test_lines_bom_crlf_and_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    text = f"\r\n{lines[0]}\r\n\r\n  \t\r\n{lines[1]}\r\n{lines[2]}\r\n{lines[3]}"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [one[0] for one in read(path)] == [f"a.jsonl:{line}" for line in (2, 5, 6, 7)]
    assert [one[2] for one in read(path)] == [row["conversations"][1]["value"] for row in ROWS]
    listed = tmp_path / "b.json"
    listed.write_bytes(b"\xef\xbb\xbf\r\n [\r\n" + ",\r\n".join(lines).encode() + b"\r\n]\r\n")
    assert [one[0] for one in read(listed)] == [f"b.json:{line}" for line in (3, 4, 5, 6)]


def test_lines_in_a_file_called_json(tmp_path: Path) -> None:
    assert len(read(write_lines(tmp_path / "a.json", ROWS))) == 4
    kind = read_json_rows(str(tmp_path / "a.json"), Reading("")).kind
    assert kind == "LLaVA's conversations in JSON lines"


def test_rows_go_to_other_processes(tmp_path: Path) -> None:
    rows = read_json_rows(str(write_json(tmp_path / "a.json", ROWS)), Reading("")).rows
    assert pickle.loads(pickle.dumps(rows))[2] == rows[2]
    assert len(pickle.dumps(rows)) < 1000  # places, not texts


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[\n{"a": 1},\n{"b": 2\n]\n', 4, "Expecting ',' delimiter"),
        ('[\n{"a": 1}\n{"b": 2}\n]\n', 3, "a comma is missing"),
        ('[\n{"a": 1},\n{"b": "open\n', 3, "Invalid control character"),
        ('[\n{"a": 1},\n', 3, "Expecting value"),
        ('[\n{"a": 1}\n', 3, "the list has no end"),
        ('[{"a": 1}]\n\n{"b": 2}', 3, "something stands behind the end"),
        ('[\n{"a": ' + "9" * 5000 + "}]", 2, "Exceeds the limit"),
        ("[\n" + "[" * 100_000, 2, "nested too deeply"),
        ("[\n{'a': 1}]", 2, "Expecting property name"),
    ],
)
def test_a_list_that_is_no_json(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=rf"a\.json:{line}: no JSON \((.*{what})"):
        read(path)


def test_a_bad_line_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = json.dumps(llava())
    wrong = ['{"a": 1', '{"a": "\xff"}', "{" * 100_000, '{"a": ' + "9" * 5000 + "}", "[1]", '"a"']
    text = "\n".join([good, *wrong, good])
    path.write_bytes(text.encode("latin-1"))
    rows = read_json_rows(str(path), Reading("")).rows
    assert rows[0].turns == rows[7].turns
    for at, said in enumerate(
        ["no JSON", "no JSON", "no JSON|nested", "no JSON", "not an object", "not an object"], 1
    ):
        with pytest.raises(RowError, match=rf"a\.jsonl:{at + 1}: .*({said})"):
            rows[at]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"hello", "neither a list of JSON nor a JSON object a line"),
        ("[]".encode("utf-16"), "is not UTF-8"),
        (b"\0\0\0\0", "is not UTF-8"),
        (b"\x1f\x8b\x08\0\0", "is compressed"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'[\n\n{"a": "\xff"}]', ":3: no JSON .not UTF-8"),
    ],
)
def test_what_is_no_file_of_rows(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(OptionError, match=said):
        read(path)


def test_a_record_without_end_is_refused_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "_MOST", 5000)
    monkeypatch.setattr(json_rows, "_CHUNK", 1000)
    long = llava(answer="x" * 8000)
    rows = read_json_rows(str(write_lines(tmp_path / "a.jsonl", [long, llava()])), Reading("")).rows
    with pytest.raises(RowError, match="a.jsonl:1: longer than"):
        rows[0]
    assert rows[1].turns[0].answer == "A cat."
    with pytest.raises(OptionError, match="no JSON"):
        read(write_json(tmp_path / "b.json", [long]))
