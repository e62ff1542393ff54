"""A compiled network to call: its weights are let go twice, what it gives is the caller's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.writing import write_arrays
from galago.engine.graph import ops
from galago.engine.graph_cache import Shared
from galago.engine.network import Network
from galago.engine.runtime import op, ov

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def let_go(monkeypatch: pytest.MonkeyPatch) -> list[Shared]:
    """The times that weights were let go."""
    times: list[Shared] = []
    real = Shared.let_go

    def counted(shared: Shared) -> None:
        times.append(shared)
        real(shared)

    monkeypatch.setattr(Shared, "let_go", counted)
    return times


@pytest.fixture
def network(let_go: list[Shared], tmp_path: Path) -> Network:
    """x @ MATRIX.T, the matrix in a file."""
    write_arrays(tmp_path / "weights", {"matrix": MATRIX})
    tensors = SafetensorsFile(tmp_path / "weights").tensors

    def build() -> tuple[ov.Model, ops.Weights]:
        x = op.parameter([-1, 3], name="x", dtype=np.float32)
        product = op.matmul(x, ops.raw(tensors["matrix"]), transpose_a=False, transpose_b=True)
        return ov.Model([product], [x]), tensors

    return Network(build, {"INFERENCE_PRECISION_HINT": "f32"}, None, "it")


def test_weights_are_let_go_when_compiled_and_behind_the_first_run(
    network: Network, let_go: list[Shared]
) -> None:
    assert len(let_go) == 1
    request = network.new_request()
    for _ in range(3):
        network.run(request, {"x": np.ones((1, 3), np.float32)})
        assert len(let_go) == 2


def test_what_it_gives_stays_when_it_runs_again(network: Network) -> None:
    request, other = network.new_request(), network.new_request()
    x = np.array([[1, 0, 0], [0, 0, 2]], np.float32)
    first = network.run(request, {"x": x})
    assert first.dtype == np.float32 and np.array_equal(first, x @ MATRIX.T)
    second = network.run(request, {"x": 2 * x})
    assert np.array_equal(second, 2 * first) and np.array_equal(first, x @ MATRIX.T)
    assert np.array_equal(network.run(other, {"x": x}), first)
    network.release()
    assert np.array_equal(network.run(request, {"x": x}), first)
