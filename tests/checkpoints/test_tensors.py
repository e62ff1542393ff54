"""What a stored tensor is: its number formats, and the file that it is read from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from galago.checkpoints.tensors import FileState, to_bf16, widen


def test_bf16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, -2.5, 0.0, 3e38], np.float32)
    back = widen(to_bf16(values), "BF16")
    assert back[:5].tolist() == [1.0, 1.0, 1.0 + 2**-6, -2.5, 0.0]
    x = np.random.default_rng(0).standard_normal((7, 256)).astype(np.float32)
    error = np.abs(widen(to_bf16(x), "BF16") - x)
    assert np.all(error <= np.abs(x) * 2**-8)


def test_a_files_state(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    state = FileState.of(path)
    assert state.unchanged() and state == FileState.of(path)
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert not state.unchanged()  # of the same size and time
    path.unlink()
    assert not state.unchanged()
