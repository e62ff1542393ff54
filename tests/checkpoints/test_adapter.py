"""Adapters: the base with what LoRA learnt, and every way in which one can't be opened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.folders import (
    ADAPTER_BASE,
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    WEIGHTS,
    is_adapter,
    is_complete,
    kind_of_folder,
)
from galago.checkpoints.names import PROJECTOR
from galago.checkpoints.tensors import read_float, to_bf16, widen
from galago.checkpoints.vlm import open_checkpoint, open_spec
from galago.checkpoints.writing import write_arrays
from galago.convert.load import load_sessions
from galago.errors import CheckpointError
from galago.hub.resolve import resolve
from galago.places import MODELS
from tests.helpers.adapters import ALPHA, LAYER, RANK, adapter, matrices
from tests.helpers.checkpoints import tiny_fast_vlm, tiny_llava

Base = Callable[[Path], Path]


def nano(folder: Path) -> Path:
    return MODELS / "fastvlm-nano"


def rewritten(folder: Path, change: Callable[[dict[str, np.ndarray]], object], base: Path) -> None:
    arrays = matrices(base)
    change(arrays)
    write_arrays(folder / ADAPTER_WEIGHTS, arrays)


@pytest.mark.parametrize("write", [tiny_llava, tiny_fast_vlm, nano])
def test_what_was_learnt_is_added_and_the_rest_is_the_bases(tmp_path: Path, write: Base) -> None:
    base = write(tmp_path / "base")
    before, after = open_checkpoint(base), open_checkpoint(adapter(base, tmp_path / "out"))
    assert after.adapter and not before.adapter
    down, up = list(matrices(base).values())[:2]
    name = f"{LAYER}.weight"
    wanted = read_float(before.tensors[name]) + ALPHA / RANK * (up @ down)
    found = read_float(after.tensors[name])
    assert np.abs(found - wanted).max() < np.abs(wanted).max() / 200
    assert after.tensors[name].dtype == "BF16"  # as a merged folder would have it
    assert (found == widen(to_bf16(found), "BF16")).all()
    for name, tensor in before.tensors.items():
        if name.startswith(PROJECTOR):
            assert np.abs(read_float(after.tensors[name]) - read_float(tensor)).min() > 0.4
        elif LAYER not in name:
            assert (read_float(after.tensors[name]) == read_float(tensor)).all(), name


def test_it_is_a_model_for_every_reader(tmp_path: Path) -> None:
    base = tiny_llava(tmp_path / "base")
    out = adapter(base, tmp_path / "out")
    assert is_adapter(out) and not is_adapter(base)
    assert is_complete(out) and kind_of_folder(out) == "fastvlm"
    assert open_spec(out).text == open_spec(base).text
    before = resolve(out).digest
    features = load_sessions(out, "fp32").vision.encode(np.zeros((1, 3, 256, 256), np.float32))
    assert np.isfinite(features).all()
    (base / WEIGHTS).touch()
    assert resolve(out).digest != before  # a conversion of another base isn't taken for this one's


def test_runs_of_rows_make_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = adapter(tiny_llava(tmp_path / "base"), tmp_path / "out")
    whole = open_checkpoint(out).tensors[f"{LAYER}.weight"].read()
    monkeypatch.setattr("galago.checkpoints.tensors._RUN", 7 * 64)
    assert (open_checkpoint(out).tensors[f"{LAYER}.weight"].read() == whole).all()


# -- where the base lies ---------------------------------------------------------------------------


def test_a_base_in_the_adapters_folder_or_the_catalogue(tmp_path: Path) -> None:
    base = tiny_llava(tmp_path / "out-base")
    out = adapter(base, tmp_path / "out", "../out-base")
    assert open_checkpoint(out).adapter
    assert open_checkpoint(adapter(nano(tmp_path), tmp_path / "two", "fastvlm-nano")).adapter


def test_a_base_of_the_hub_is_found_where_it_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    copies = tmp_path / "cache" / "sources" / "some--model"
    tiny_llava(copies / "older", seed=1)
    (copies / "older" / WEIGHTS).write_bytes(b"other")
    out = adapter(tiny_llava(copies / "newer"), tmp_path / "out", "some/model")
    assert open_checkpoint(out).adapter
    shutil.rmtree(copies)
    with pytest.raises(CheckpointError, match=r"isn't there: `galago pull some/model`"):
        open_spec(out)


def test_of_two_revisions_the_one_that_it_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    copies = tmp_path / "cache" / "sources" / "some--model"
    for seed, revision in enumerate(("a1", "b2")):
        base = tiny_llava(copies / revision, seed=seed)
        out = adapter(base, tmp_path / revision, "some/model", revision=revision)
        assert open_checkpoint(out).adapter
    assert open_checkpoint(tmp_path / "a1").adapter  # both are there now


def test_a_base_that_isnt_there(tmp_path: Path) -> None:
    base = tiny_llava(tmp_path / "base")
    out = adapter(base, tmp_path / "out")
    base.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"base.* isn't there.*base_model_name_or_path"):
        open_spec(out)


def test_a_base_that_was_trained_on(tmp_path: Path) -> None:
    base = tiny_llava(tmp_path / "base")
    out = adapter(base, tmp_path / "out")
    with (base / WEIGHTS).open("r+b") as file:  # the same size, and the same header
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    with pytest.raises(CheckpointError, match="weights have changed since.*train again"):
        open_checkpoint(out)
    (base / WEIGHTS).write_bytes((base / WEIGHTS).read_bytes() + b" ")
    with pytest.raises(CheckpointError, match="weights have changed since"):
        open_spec(out)


def test_an_adapter_of_an_adapter(tmp_path: Path) -> None:
    first = adapter(tiny_llava(tmp_path / "base"), tmp_path / "first")
    second = adapter(tmp_path / "base", tmp_path / "second", str(first))
    with pytest.raises(CheckpointError, match="isn't there"):
        open_checkpoint(second)


# -- files of strangers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["\\\\host\\share", "//host/share", "/\\host", "\\/host", "", 3, None]
)
def test_places_that_arent_believed(tmp_path: Path, place: object) -> None:
    out = adapter(tiny_llava(tmp_path / "base"), tmp_path / "out")
    told = json.loads((out / ADAPTER_CONFIG).read_text()) | {"base_model_name_or_path": place}
    (out / ADAPTER_CONFIG).write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="where the hub name or the folder"):
        open_spec(out)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peft_type", "LOHA"), ("use_dora", True), ("use_rslora", True), ("bias", "all"),
        ("rank_pattern", {"q_proj": 8}), ("alpha_pattern", {"q_proj": 8}), ("lora_bias", True),
        ("fan_in_fan_out", True), ("layer_replication", [[0, 1]]), ("r", 0), ("r", 10**9),
        ("r", "4"), ("lora_alpha", None), ("lora_alpha", 1e300), ("lora_alpha", "x"),
        ("init_lora_weights", "pissa"),
    ],
)  # fmt: skip
def test_what_peft_can_and_galago_cant(tmp_path: Path, field: str, value: object) -> None:
    out = adapter(tiny_llava(tmp_path / "base"), tmp_path / "out", **{field: value})
    with pytest.raises(CheckpointError, match=field):
        open_checkpoint(out)


def _more_rows(arrays: dict[str, np.ndarray]) -> None:
    name = next(name for name in arrays if "lora_B" in name)
    arrays[name] = np.concatenate([arrays[name]] * 2)


def _other_rank(arrays: dict[str, np.ndarray]) -> None:
    name = next(name for name in arrays if "lora_B" in name)
    arrays[name] = arrays[name][:, :-1]


def _half(arrays: dict[str, np.ndarray]) -> None:
    del arrays[next(name for name in arrays if "lora_B" in name)]


def _stranger(arrays: dict[str, np.ndarray]) -> None:
    arrays["base_model.model.model.layers.9.mlp.up_proj.lora_A.weight"] = next(
        iter(arrays.values())
    )


def _embedding(arrays: dict[str, np.ndarray]) -> None:
    arrays["base_model.model.model.embed_tokens.weight"] = np.zeros((320, 64), np.float32)


def _norm(arrays: dict[str, np.ndarray]) -> None:
    arrays["base_model.model.model.norm.lora_A.weight"] = np.zeros((4, 64), np.float32)
    arrays["base_model.model.model.norm.lora_B.weight"] = np.zeros((64, 4), np.float32)


def _integers(arrays: dict[str, np.ndarray]) -> None:
    name = next(name for name in arrays if "lora_A" in name)
    arrays[name] = np.zeros(arrays[name].shape, np.int64)


def _wide(arrays: dict[str, np.ndarray]) -> None:
    name = next(name for name in arrays if "mm_projector" in name)
    arrays[name] = np.concatenate([arrays[name]] * 2)


def _wholes(arrays: dict[str, np.ndarray]) -> None:
    for name in [name for name in arrays if "lora_" in name]:
        del arrays[name]


@pytest.mark.parametrize(
    "change",
    [_more_rows, _other_rank, _half, _stranger, _embedding, _norm, _integers, _wide, _wholes],
)
def test_tensors_that_fit_nowhere(tmp_path: Path, change: Callable[[Any], None]) -> None:
    base = tiny_llava(tmp_path / "base")
    out = adapter(base, tmp_path / "out")
    rewritten(out, change, base)
    with pytest.raises(CheckpointError, match="train the adapter again|nothing of LoRA"):
        open_checkpoint(out)


@pytest.mark.parametrize("rank", [RANK * 2, RANK - 1])
def test_a_rank_that_its_tensors_havent(tmp_path: Path, rank: int) -> None:
    out = adapter(tiny_llava(tmp_path / "base"), tmp_path / "out", r=rank)
    with pytest.raises(CheckpointError, match="train the adapter again"):
        open_checkpoint(out)  # else it would be added by another scale than it learnt with


def test_numbers_that_are_none(tmp_path: Path) -> None:
    base = tiny_llava(tmp_path / "base")
    out = adapter(base, tmp_path / "out")

    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays[next(name for name in arrays if "lora_A" in name)][0, 0] = np.inf

    rewritten(out, spoil, base)
    with pytest.raises(CheckpointError, match="the adapter makes .* numbers that BF16 can't hold"):
        load_sessions(out, "fp32")


@pytest.mark.parametrize(
    "told", [{}, {"format": 2}, {"format": 1, "files": {}}, {"format": 1, "files": {"a": 3}},
             {"format": 1, "files": {"a": {"size": "1", "sha256": ""}}}, {"format": 1, "files": 3}],
)  # fmt: skip
def test_a_file_that_doesnt_say_its_base(tmp_path: Path, told: dict[str, Any]) -> None:
    out = adapter(tiny_llava(tmp_path / "base"), tmp_path / "out")
    (out / ADAPTER_BASE).write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=ADAPTER_BASE):
        open_spec(out)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    out = adapter(tiny_llava(tmp_path / "base"), tmp_path / "out")
    (out / ADAPTER_WEIGHTS).rename(out / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="adapter_model.safetensors"):
        open_checkpoint(out)
