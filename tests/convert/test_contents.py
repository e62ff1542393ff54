"""A converted folder from elsewhere: it loads as it was written, or is refused in a line."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.folders import MANIFEST
from galago.checkpoints.names import vision_shapes
from galago.checkpoints.vlm import open_checkpoint
from galago.convert.contents import unlike
from galago.convert.folder import TENSORS, open_converted
from galago.convert.load import load_sessions
from galago.engine import folding
from galago.engine.vlm_weights import Int8Layers, collect, vision_items
from galago.errors import CheckpointError, GalagoError
from galago.specs import FASTVITHD, MCI0, MCI2, FastViTSpec
from tests.helpers.checkpoints import TINY_VISION
from tests.helpers.running import answer

CHANGES = int(os.environ.get("GALAGO_CHANGES", "12"))  # of each precision


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write(path: Path, header: dict[str, Any], data: bytes) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("spec", [TINY_VISION, MCI0, MCI2, FASTVITHD], ids=lambda s: str(s.widths))
def test_the_shapes_are_those_that_folding_gives(spec: FastViTSpec) -> None:
    shapes = vision_shapes(spec)
    found = {n: a.shape for n, a in folding.fold(lambda n: np.ones(shapes[n], np.float32), spec)}
    assert folding.folded_shapes(spec) == found


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_what_galago_writes_fits(converted: Callable[[str], Path], precision: str) -> None:
    opened = open_converted(converted(precision))
    assert unlike(opened.tensors, opened.spec, opened.plan) is None


@pytest.mark.parametrize("top", [63, 127])
def test_vision_in_bytes_fits(wide: Path, converted: Callable[[str], Path], top: int) -> None:
    """Ranged layers beside matrices whose ranges the engine finds, as some processors have them."""
    source = open_checkpoint(wide)
    opened = open_converted(converted("int8"))
    layers = {
        name.removesuffix(".weight"): (-1.0, 2.0)
        for name in opened.tensors
        if name.endswith((".fc1.weight", "proj.1.weight"))
    }
    assert layers
    seen = collect(vision_items(source, "int8", Int8Layers(layers, {}, top)))
    plan = type(opened.plan)("int8", "int8")
    others = {n: t for n, t in opened.tensors.items() if n not in seen}
    assert unlike({**others, **seen}, opened.spec, plan) is None
    some = next(iter(layers))
    less = {n: t for n, t in seen.items() if n != f"{some}.range"}
    assert unlike({**others, **less}, opened.spec, plan) is not None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        # Fewer bytes than the graph would read; the header agrees with itself.
        ("model.layers.0.mlp.gate_proj.weight", {"dtype": "I8", "shape": [16, 1]}),
        ("model.layers.0.mlp.gate_proj.weight.scale", {"dtype": "F32", "shape": [4, 1]}),
        ("model.layers.0.self_attn.q_proj.bias", {"dtype": "F32", "shape": [1]}),
        ("model.norm.weight", {"dtype": "F32", "shape": [0]}),
        ("model.embed_tokens.weight", {"dtype": "I8", "shape": [8, 8]}),
        ("model.mm_projector.0.weight", {"dtype": "F32", "shape": [2, 2]}),
    ],
)
def test_tensors_that_are_smaller_than_they_should_be(
    converted: Callable[[str], Path], tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    folder = tmp_path / "wide"
    shutil.copytree(converted("int8"), folder)
    header, data = header_of(folder / TENSORS)
    start = header[name]["data_offsets"][0]
    size = int(np.prod(change["shape"])) * (1 if change["dtype"] == "I8" else 4)
    header[name] |= change | {"data_offsets": [start, start + size]}
    write(folder / TENSORS, header, data)
    with pytest.raises(CheckpointError, match=f"holds {name} as .*convert the model again"):
        load_sessions(folder)


def test_a_scale_too_many_is_refused(converted: Callable[[str], Path], tmp_path: Path) -> None:
    """With one beside it, plain numbers were read as four-bit ones."""
    folder = tmp_path / "wide"
    shutil.copytree(converted("fp32"), folder)
    header, data = header_of(folder / TENSORS)
    header["model.layers.0.mlp.up_proj.weight.scale"] = header["model.norm.weight"]
    write(folder / TENSORS, header, data)
    with pytest.raises(CheckpointError, match="belongs to nothing"):
        load_sessions(folder)


SPEC_CHANGES: list[tuple[str, str, Any]] = [
    ("text", "layers", 10**9), ("text", "heads", 0), ("text", "heads", 4.0),
    ("text", "hidden", True),
    ("text", "rms_eps", float("inf")), ("text", "rope_theta", float("nan")), ("text", "vocab", -1),
    ("vision", "depths", [10**9, 1, 1, 1, 1]), ("vision", "head_dim", 0),
    ("vision", "norm", "none"),
    ("vision", "exp_ratio", 1e300), ("vision", "mlp_ratios", [float("nan")] * 5),
    ("image", "side", 10**9), ("image", "std", [0.0, 1.0, 1.0]), ("image", "fit", "stretch"),
    ("prompt", "system", 7),
]  # fmt: skip


@pytest.mark.parametrize(("part", "field", "value"), SPEC_CHANGES)
def test_numbers_that_no_model_has(
    converted: Callable[[str], Path], tmp_path: Path, part: str, field: str, value: Any
) -> None:
    folder = tmp_path / "wide"
    shutil.copytree(converted("fp32"), folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["spec"][part][field] = value
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"damaged.*convert the model again"):
        load_sessions(folder)


@pytest.mark.parametrize("precision", ["int4"])  # its lm_head is in int8
def test_random_changes_load_rightly_or_are_refused(
    converted: Callable[[str], Path], tmp_path: Path, precision: str
) -> None:
    """Headers and manifests only: what a number in a tensor is worth is nobody's to say."""
    folder = tmp_path / "wide"
    shutil.copytree(converted(precision), folder)
    whole = answer(load_sessions(folder))
    header, data = header_of(folder / TENSORS)
    manifest = json.loads((folder / MANIFEST).read_text())
    draw, refused = random.Random(precision), 0
    for _ in range(CHANGES):
        new_header, new_manifest = json.loads(json.dumps([header, manifest]))
        if draw.random() < 0.5:
            _change_header(new_header, draw)
        else:
            _change_value(new_manifest, draw)
        write(folder / TENSORS, new_header, data)
        (folder / MANIFEST).write_text(json.dumps(new_manifest))
        try:
            found = answer(load_sessions(folder))
        except GalagoError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert [one.shape for one in found] == [one.shape for one in whole]
            # another eps, or F16 for BF16, is another model, which a folder may hold
            other = new_header == header or _swaps_floats(new_header, header)
            assert other or all(map(np.array_equal, found, whole))
    assert refused > CHANGES / 3


def _swaps_floats(new: dict[str, Any], old: dict[str, Any]) -> bool:
    changed = [(new[name]["dtype"], old[name]["dtype"]) for name in old if new[name] != old[name]]
    return all(set(kinds) == {"F16", "BF16"} for kinds in changed)


def _change_header(header: dict[str, Any], draw: random.Random) -> None:
    """Another type, shape or place for one tensor; sometimes such that the header fits itself."""
    name = draw.choice(sorted(header))
    entry = header[name]
    what = draw.choice(["dtype", "shape", "drop", "place", "rename"])
    if what == "drop":
        del header[name]
    elif what == "rename":
        header[name + draw.choice(["x", ".scale", ".range"])] = header.pop(name)
    elif what == "dtype":
        entry["dtype"] = draw.choice(["F32", "F16", "BF16", "I8", "U8", "I64", "BOOL"])
    elif what == "shape":
        entry["shape"] = draw.choice([[1], [], [0], entry["shape"][::-1], [*entry["shape"], 1]])
    size = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "I64": 8, "BOOL": 1}[entry["dtype"]]
    if what in ("dtype", "shape") and draw.random() < 0.7:
        begin = entry["data_offsets"][0]
        entry["data_offsets"] = [begin, begin + size * int(np.prod(entry["shape"]))]


def _change_value(value: Any, draw: random.Random) -> None:
    """Something else in the place of one leaf."""
    while True:
        key = draw.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if isinstance(inner, (dict, list)) and inner:
            value = inner
            continue
        others = [0, -1, 1, 10**9, 0.5, 1e300, True, None, "x", [], {}, float("nan")]
        value[key] = draw.choice(others)
        return
