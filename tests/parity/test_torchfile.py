"""Files that torch.save wrote, against torch.load(weights_only=True).

Run in the parity environment: `python -m pytest tests/parity/test_torchfile.py`.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from galago.checkpoints.torchfile import StridedTensor, TorchFile
from galago.errors import CheckpointError

TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
# The same in protocol 2, the only one that weights_only=True reads.
REFERENCE = "reference.pt"


def compare(path: Path, *keys: str) -> int:
    """Every tensor of both readers, to the bit; how many there were."""
    wanted: Any = torch.load(path.with_name(REFERENCE), map_location="cpu", weights_only=True)
    for key in keys:
        wanted = wanted[key]
    wanted = {name: value for name, value in wanted.items() if isinstance(value, torch.Tensor)}
    found = TorchFile(path).tensors
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        raw = tensor.detach()
        array = (raw.view(torch.int16) if raw.dtype == torch.bfloat16 else raw).numpy()
        assert found[name].dtype == TYPES[tensor.dtype], name
        assert found[name].shape == tuple(tensor.shape), name
        for _ in range(2):
            ours = found[name].read()
            assert ours.shape == array.shape and ours.dtype.itemsize == array.dtype.itemsize
            assert ours.tobytes() == array.tobytes(), name
            found[name].release()
    return len(found)


def views() -> dict[str, torch.Tensor]:
    base = torch.arange(120.0).reshape(4, 5, 6)
    return {
        "base": base,
        "again": base,
        "transposed": base.transpose(0, 2),
        "permuted": base.permute(1, 0, 2),
        "rows": base[2:],
        "stepped": base[1::2, ::2, 1::3],
        "one": base[3, 2, 1],
        "nothing": base[:0],
        "expanded": base[:1, :1].expand(4, 5, 6),
        "windows": torch.arange(10).unfold(0, 4, 2),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.MultiheadAttention(8, 2), nn.Embedding(5, 8)
    )


@pytest.fixture(params=[2, 4, 5])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[object], Path]:
    def to(value: object) -> Path:
        torch.save(value, tmp_path / REFERENCE)
        torch.save(value, tmp_path / "model.pt", pickle_protocol=request.param)
        return tmp_path / "model.pt"

    return to


def test_types(save: Callable[[object], Path]) -> None:
    state = {str(t): (torch.randn(3, 7) * 9).to(t) for t in TYPES}
    state |= {f"{t} transposed": (torch.randn(3, 7) * 9).to(t).T for t in TYPES}
    state |= {f"{t} scalar": torch.tensor(1).to(t) for t in TYPES}
    assert compare(save(state)) == 30


def test_views(save: Callable[[object], Path]) -> None:
    path = save(views())
    assert compare(path) == 11
    strided = [n for n, t in TorchFile(path).tensors.items() if isinstance(t, StridedTensor)]
    contiguous = [name for name, tensor in views().items() if tensor.is_contiguous()]
    assert sorted(strided + contiguous) == sorted(views())


def test_state_dict_with_metadata(save: Callable[[object], Path]) -> None:
    state = model().state_dict()
    assert state._metadata and compare(save(state)) == len(state)


def test_parameters(save: Callable[[object], Path]) -> None:
    state = OrderedDict(model().named_parameters())
    state["frozen"] = nn.Parameter(torch.randn(4, 2).T, requires_grad=False)
    assert compare(save(state)) == len(state)


def test_wrappers(save: Callable[[object], Path]) -> None:
    network = model()
    optimizer = torch.optim.AdamW(network.parameters())
    loss = sum(p.square().sum() for p in network.parameters())
    loss.backward()
    optimizer.step()
    rest = {"epoch": 3, "loss": 0.5, "optimizer": optimizer.state_dict(), "name": "x", "none": None}
    state = network.state_dict()
    assert compare(save({**rest, "state_dict": state}), "state_dict") == len(state)
    assert compare(save({**rest, "model": state}), "model") == len(state)
    assert compare(save({"model": {"state_dict": state}}), "model", "state_dict") == len(state)


def test_large_and_many(save: Callable[[object], Path]) -> None:
    state = {f"block.{n}.weight": torch.randn(7, 3) for n in range(2000)}
    state["large"] = torch.randn(1 << 20)
    assert compare(save(state)) == 2001


def test_data_is_aligned(save: Callable[[object], Path]) -> None:
    for tensor in TorchFile(save(model().state_dict())).tensors.values():
        assert tensor.read().ctypes.data % 64 == 0


def test_changing_what_was_read_changes_no_file(save: Callable[[object], Path]) -> None:
    path = save({"x": torch.zeros(8)})
    before = path.read_bytes()
    TorchFile(path).tensors["x"].read()[:] = 1
    assert path.read_bytes() == before
    assert np.array_equal(TorchFile(path).tensors["x"].read(), np.zeros(8))


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    for value, said in (
        ({"x": Hostile()}, "mkdir"),
        (model(), "torch.nn.modules.container.Sequential"),
        ({"x": torch.zeros(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage"),
        ({"x": torch.zeros(2).to_sparse()}, "torch._utils._rebuild_sparse_tensor"),
    ):
        torch.save(value, path)
        with pytest.raises(CheckpointError, match=said) as caught:
            TorchFile(path)
        assert "executes nothing" in str(caught.value)
    torch.save({"x": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="before version 1.6"):
        TorchFile(path)
    assert os.listdir(tmp_path) == ["model.pt"]
