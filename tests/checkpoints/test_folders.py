"""Which files make which model: fetched by their names, whole or not, and for what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galago.catalog import Layout
from galago.checkpoints.folders import (
    CLIP_CONFIG,
    CLIP_WEIGHTS,
    CONFIG,
    INDEX,
    WEIGHTS,
    is_complete,
    kind_of_files,
    kind_of_folder,
    patterns,
    shard_names,
    weight_files,
)
from galago.errors import CheckpointError


def holding(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ((CONFIG, WEIGHTS), "fastvlm"),
        ((CLIP_CONFIG,), "mobileclip"),
        ((CONFIG, CLIP_WEIGHTS), "mobileclip"),
        ((CONFIG, "mobileclip_s0.pt"), "mobileclip"),
        ((CONFIG, "other.pt"), "fastvlm"),
        (("other.pt",), "mobileclip"),
        (("README.md", WEIGHTS), None),
    ],
)
def test_what_a_folder_is_for(tmp_path: Path, names: tuple[str, ...], kind: str | None) -> None:
    assert kind_of_folder(holding(tmp_path, *names)) == kind
    if not any(name.endswith(".pt") for name in names):  # of a repository those are not fetched
        assert kind_of_files(names) == kind


@pytest.mark.parametrize(
    ("names", "layout", "whole"),
    [
        ((CONFIG, WEIGHTS), None, True),
        ((CONFIG,), None, False),
        ((WEIGHTS,), None, False),
        ((CLIP_CONFIG, CLIP_WEIGHTS), None, True),
        ((CLIP_CONFIG,), None, False),
        ((CONFIG, WEIGHTS), "open_clip", False),
        (("mobileclip_s0.pt",), "pt", True),
        (("mobileclip_s0.pt", "mobileclip_s1.pt"), "pt", False),
    ],
)
def test_what_is_whole(
    tmp_path: Path, names: tuple[str, ...], layout: Layout | None, whole: bool
) -> None:
    assert is_complete(holding(tmp_path, *names), layout) is whole


def test_a_model_in_shards_is_whole_with_the_last_of_them(tmp_path: Path) -> None:
    holding(tmp_path, CONFIG, "a.safetensors")
    index = {"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}
    (tmp_path / INDEX).write_text(json.dumps(index))
    assert shard_names(tmp_path) == ["a.safetensors", "b.safetensors"]
    assert not is_complete(tmp_path)
    assert is_complete(holding(tmp_path, "b.safetensors"))
    (tmp_path / INDEX).write_text("{}")
    assert not is_complete(tmp_path)


def test_no_code_and_no_pickle_is_fetched_but_the_catalogues() -> None:
    assert patterns(None, [CLIP_CONFIG]) == patterns("open_clip", []) != patterns(None, [])
    for layout in (None, "open_clip"):
        assert not any(p.endswith((".py", ".bin", ".pt")) for p in patterns(layout, []))  # type: ignore[arg-type]
    assert patterns("pt", [CONFIG])[0] == "mobileclip*.pt"


@pytest.mark.parametrize(
    "value",
    [7, None, ["a"], "", "../a.safetensors", "a/b.safetensors", "a\0.safetensors", "a.bin",
     "x" * 5000 + ".safetensors", "..\\a.safetensors", "\x1b[2J.safetensors"],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_an_index_that_names_what_no_shard_is_called(tmp_path: Path, value: object) -> None:
    """A folder with one ended `galago models`."""
    index = {"weight_map": {"x": value, "y": "a.safetensors"}}
    (holding(tmp_path, CONFIG, "a.safetensors") / INDEX).write_text(json.dumps(index))
    assert not is_complete(tmp_path)
    with pytest.raises(CheckpointError, match="no file of the folder") as told:
        shard_names(tmp_path)
    assert str(told.value).isprintable() and len(str(told.value)) < 400


def test_a_whole_file_comes_before_an_index(tmp_path: Path) -> None:
    holding(tmp_path, CONFIG, WEIGHTS, "b.safetensors")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"x": "gone.safetensors"}}))
    assert weight_files(tmp_path) == [tmp_path / WEIGHTS] and is_complete(tmp_path)


def test_numbered_shards_need_no_index(tmp_path: Path) -> None:
    names = [f"model-{n:05d}-of-00003.safetensors" for n in (1, 2, 3)]
    holding(tmp_path, CONFIG, names[0], names[2])
    assert not is_complete(tmp_path)
    with pytest.raises(CheckpointError, match="lacks the shard model-00002-of-00003"):
        weight_files(tmp_path)
    holding(tmp_path, names[1])
    assert [path.name for path in weight_files(tmp_path)] == names and is_complete(tmp_path)
