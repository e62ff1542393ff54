"""The file format: what is written comes back, and damage is named."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.safetensors import SafetensorsFile, SafetensorsWriter
from galago.checkpoints.tensors import Entry, to_bf16
from galago.errors import CheckpointError


def write(path: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.standard_normal((3, 5)).astype(np.float32),
        "b": to_bf16(rng.standard_normal((4, 2)).astype(np.float32)),
        "c": rng.integers(-8, 8, (2, 2)).astype(np.int8),
    }
    plan = {
        "a": Entry("F32", (3, 5)),
        "b": Entry("BF16", (4, 2)),
        "c": Entry("I8", (2, 2)),
    }
    writer = SafetensorsWriter(path, plan, {"made": "here"})
    writer.append("c", arrays["c"])
    writer.append("a", arrays["a"][:1])
    writer.append("b", arrays["b"])
    writer.append("a", arrays["a"][1:])
    writer.close()
    return arrays


def test_round_trip_in_runs_and_any_order(tmp_path: Path) -> None:
    arrays = write(tmp_path / "x.safetensors")
    file = SafetensorsFile(tmp_path / "x.safetensors")
    assert file.metadata == {"made": "here"}
    for name, array in arrays.items():
        assert np.array_equal(file.tensors[name].read(), array)
        file.tensors[name].release()
        assert np.array_equal(file.tensors[name].read(), array)


def test_the_reference_library_reads_it(tmp_path: Path) -> None:
    from safetensors import safe_open

    arrays = write(tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "np") as file:
        assert np.array_equal(file.get_tensor("a"), arrays["a"])


def test_unfinished_tensor_is_an_error(tmp_path: Path) -> None:
    writer = SafetensorsWriter(tmp_path / "x", {"a": Entry("F32", (2,))})
    with pytest.raises(ValueError, match="larger"):
        writer.append("a", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="not written whole"):
        writer.close()
    writer.abandon()


@pytest.mark.parametrize("keep", [0, 4, 9, 60, 250])
def test_cut_short(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.safetensors"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        SafetensorsFile(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": "x", "data_offsets": [0, 4]},
        {"dtype": "F32"},
        7,
    ],
)
def test_damaged_entries(tmp_path: Path, entry: object) -> None:
    header = json.dumps({"weights": entry}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(CheckpointError, match="weights"):
        SafetensorsFile(path)


@pytest.mark.parametrize("header", [b"[]", b"{", b"\xff\xfe\x00\x01"])
def test_damaged_header(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(CheckpointError, match="header"):
        SafetensorsFile(path)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a": {"dtype": "F32", "data_offsets": [0, 4], "shape": [' + b"9," * 900_000 + b"9]}}",
        b'{"a": {"dtype": "F32", "data_offsets": [0, 4], "shape": [' + b"9" * 4000 + b"]}}",
        b'{"a": {"dtype": "F32", "data_offsets": [0, 4], "shape": [1.0]}}',
        b'{"a": {"dtype": "F32", "data_offsets": [0, 4], "shape": [true]}}',
        b'{"a": {"dtype": "F32", "data_offsets": ["0", "4"], "shape": ["1"]}}',
        b'{"a": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b" " * (9 << 20),
    ],
    ids=["many", "long", "float", "bool", "text", "deep", "large"],
)
def test_headers_that_cost_time_or_hold_other_types(tmp_path: Path, header: bytes) -> None:
    """The product of a million numbers took a minute."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))
    began = time.process_time()
    with pytest.raises(CheckpointError) as refused:
        SafetensorsFile(path)
    assert time.process_time() - began < 20 and len(str(refused.value)) < 400


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files")
def test_a_pipe_is_no_file_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        SafetensorsFile(path)
