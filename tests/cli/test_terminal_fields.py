"""docs/cli.md names every field of every --json, and no other."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from galago.convert import store
from galago.engine.precision import PrecisionPlan
from tests.helpers.commandline import run
from tests.helpers.places import TOP

Capture = pytest.CaptureFixture[str]


def documented(heading: str) -> set[str]:
    """The fields in the first column of a section's table."""
    text = (TOP / "docs" / "cli.md").read_text("utf-8")
    section = re.split(r"\n##+ ", text.split("\n## --json\n")[1].split(f"### {heading}\n")[1])[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def emitted(capsys: Capture, *lines: list[str | Path]) -> set[str]:
    """The fields of all records that command lines write, those of lists of objects too."""

    def fields(record: dict[str, Any]) -> Iterator[str]:
        for name, value in record.items():
            yield name
            for one in value if isinstance(value, list) else ():
                yield from (f"{name}[].{key}" for key in one) if isinstance(one, dict) else ()

    found: set[str] = set()
    for line in lines:
        records = [json.loads(row) for row in run(capsys, *line).out.splitlines()]
        assert records, line
        found |= {name for record in records for name in fields(record)}
    return found


def test_describe_and_watch(
    capsys: Capture, ready: Path, picture: Path, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"none")
    (schema := tmp_path / "schema.json").write_text('{"type": "object"}')
    short = ("-m", ready, "--max-tokens", "2", "--json")
    assert documented("describe and watch") == emitted(
        capsys,
        ["describe", picture, tmp_path / "bad.jpg", clip, *short],
        ["describe", picture, "-p", "What?", *short],
        ["describe", picture, "--schema", schema, *short],
        ["watch", clip, "--every", "9s", *short],
    )


def test_classify(capsys: Capture, clip_folder: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"none")
    shutil.copy(picture, tmp_path)
    line = ["classify", tmp_path, "--labels", "a dog,狗", "-m", clip_folder, "--json"]
    assert documented("classify") == emitted(capsys, line)


def test_albums(capsys: Capture, indexed: Path) -> None:
    shutil.copy(indexed / "red" / "0.png", indexed / "again.png")
    (indexed / "bad.png").write_bytes(b"none")
    assert run(capsys, "index").code == 1
    search = [["search", "red", "--json"], ["search", "红", "--all", "--json"]]
    assert documented("search") == emitted(capsys, *search)
    assert documented("duplicates") == emitted(capsys, ["duplicates", "--json"])
    album: list[list[str | Path]] = [["album", "--json"], ["album", "--failed", "--json"]]
    assert documented("album") == emitted(capsys, *album)


def test_models(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = store.Entry(tmp_path, "mine", PrecisionPlan("fp32", "int8"), "int8", 1)
    monkeypatch.setattr(store, "kept", lambda name=None: [] if name else [own])
    assert documented("models") == emitted(capsys, ["models", "--json"])
    last = json.loads(run(capsys, "models", "--json").out.splitlines()[-1])
    assert set(last) == {"model", "kind", "used", "here", "bytes", "summary"}
