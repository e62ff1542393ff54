"""describe --schema: JSON that is whole, or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.commandline import run

pytest.importorskip("llguidance")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card.json"
    properties = {"kind": {"enum": ["note", "photo"]}, "count": {"type": "integer", "maximum": 9}}
    schema = {"type": "object", "properties": properties, "required": ["kind"]}
    path.write_text(json.dumps(schema))
    return path


def fits(card: object) -> bool:
    return isinstance(card, dict) and card["kind"] in ("note", "photo")


def test_json_of_one_and_of_many(
    capsys: Capture, picture: Path, pages: Path, ready: Path, card: Path
) -> None:
    line = ("--schema", card, "-m", ready, "-p", "What is it?")
    one = run(capsys, "describe", picture, *line)
    assert one.code == 0 and fits(json.loads(one.out))
    many = run(capsys, "describe", pages, *line)
    rows = many.out.splitlines()
    assert many.code == 0 and len(rows) == 3
    assert all(fits(json.loads(row.split(": ", 1)[1])) for row in rows)
    records = run(capsys, "describe", pages, *line, "--json").out.splitlines()
    for record in map(json.loads, records):
        assert fits(record["data"]) and json.loads(record["text"]) == record["data"]


def test_what_is_not_whole_is_not_shown(
    capsys: Capture, picture: Path, pages: Path, ready: Path, card: Path
) -> None:
    line = ("--schema", card, "-m", ready, "--max-tokens", "2")
    one = run(capsys, "describe", picture, *line)
    assert one.code == 2 and not one.out
    assert "no whole JSON" in one.line and "cut at 2 tokens" in one.line
    assert "--max-tokens gives it more" in one.line
    many = run(capsys, "describe", pages, *line)
    assert many.code == 2 and not many.out and many.err.count("no whole JSON") == 3
    record = run(capsys, "describe", picture, *line, "--json")
    assert record.code == 2 and json.loads(record.out)["data"] is None
    assert json.loads(record.out)["finish"] == "length"


def test_what_is_no_schema_is_told_before_a_model_is_loaded(
    capsys: Capture, picture: Path, tmp_path: Path, card: Path
) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "not.json").write_text('{"not": {}}')
    for schema, told in (
        (tmp_path / "none.json", "there is no file"),
        (tmp_path / "bad.json", "can't be read as a JSON Schema"),
        (tmp_path / "list.json", "a JSON schema is an object"),
        (tmp_path / "not.json", "'not' in the JSON schema is not possible"),
        (tmp_path, "can't be read"),
    ):
        told_of = run(capsys, "describe", picture, "--schema", schema, "-m", "nowhere")
        assert told_of.code == 2 and told in told_of.line
    stopped = run(capsys, "describe", picture, "--schema", card, "--stop", "x")
    assert stopped.code == 2 and "--stop" in stopped.line
