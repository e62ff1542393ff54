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
    read_json,
    shard_names,
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
    ("text", "said"),
    [(None, "is not a model folder"), ("{", "read as JSON"), ("[]", "JSON object")],
)
def test_a_file_that_is_no_object_of_json(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=said):
        read_json(tmp_path / CONFIG)
