"""`galago models`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from galago import catalog
from galago.checkpoints.clip_config import read_clip_spec
from galago.checkpoints.vlm import open_spec
from tests.helpers.commandline import run
from tests.helpers.running import unchecked

Capture = pytest.CaptureFixture[str]
NAME = "timm/MobileCLIP2-S0-OpenCLIP"


def test_models(capsys: Capture) -> None:
    table = run(capsys, "models").out
    for word in ("fastvlm-nano", "embedded", "apple/FastVLM-0.5B", "1.5 GB", "apple-amlr"):
        assert word in table
    records = [json.loads(line) for line in run(capsys, "models", "--json").out.splitlines()]
    assert {"model", "here", "licence", "bytes"} <= set(records[0])


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_fits_a_terminal(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    piped = run(capsys, "models").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    table = run(capsys, "models").out
    assert all(len(line) <= width for line in table.splitlines())
    assert table.split() == piped.split()  # no word is torn or lost
    assert (table == piped) == (width == 200)


def test_models_lists_what_was_converted_here(
    capsys: Capture, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked(monkeypatch)
    assert run(capsys, "pull", tiny, "--precision", "int8").code == 0
    *_, last = run(capsys, "models").out.splitlines()
    assert last.startswith("tiny") and "int8" in last and str(tiny) in last


def test_a_row_makes_a_folder_of_the_package_a_model(
    clip_folder: Path, capsys: Capture, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(catalog.lookup("MobileCLIP2-S0"), name="my-nano", repo=None)
    others = tuple(r for r in catalog.MODELS if r.name not in (catalog.DEFAULT_CLIP, NAME))
    monkeypatch.setattr(catalog, "MODELS", (*others, replace(row, aliases=())))
    monkeypatch.setattr(catalog.Model, "folder", clip_folder)
    monkeypatch.setattr("galago.hub.resolve.fetch", None)
    shown = run(capsys, "classify", picture, "--labels", "a,b", "-m", "my-nano", "--json")
    assert json.loads(shown.out)["model"] == "my-nano"
    assert "comes with galago" in run(capsys, "pull", "my-nano").err
    assert run(capsys, "models").out.splitlines()[-1].split()[:3] == [
        "my-nano",
        "mobileclip",
        "embedded",
    ]


def test_a_snapshot_with_an_odd_index_is_listed_as_damaged(
    capsys: Capture, tiny: Path, clean_world: Path
) -> None:
    """A name that no file can have ended the whole list."""
    at = clean_world / "hf" / "hub" / "models--apple--FastVLM-0.5B" / "snapshots" / ("a" * 40)
    at.mkdir(parents=True)
    (at / "config.json").write_bytes((tiny / "config.json").read_bytes())
    index = {"weight_map": {"x": "y" * 5000, "z": ["a"]}}
    (at / "model.safetensors.index.json").write_text(json.dumps(index))
    shown = run(capsys, "models", "--json")
    records = {r["model"]: r["here"] for r in map(json.loads, shown.out.splitlines())}
    assert shown.code == 0 and records["apple/FastVLM-0.5B"] == "damaged"
    assert records["apple/FastVLM-1.5B"] is None


def test_sides_of_embedded_models_are_their_configurations(capsys: Capture) -> None:
    for row in catalog.MODELS:
        if row.embedded and row.kind == "fastvlm":
            assert row.side == open_spec(row.folder).image.side
        elif row.embedded:
            assert row.side == read_clip_spec(row.folder).image.side
