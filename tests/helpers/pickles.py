"""Files of torch.save without torch, built by hand: sound ones and hostile ones."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.torchfile import TorchFile
from galago.errors import CheckpointError

BYTES = np.arange(24, dtype="<f4").tobytes()


class Name:
    """A module's name in a pickle, whether or not there is such a module."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *arguments: object) -> None:
        raise AssertionError("only ever pickled")


class Call:
    """An object that is pickled as a call, with a state to build where one is given."""

    def __init__(self, what: Any, *arguments: object, state: object = None) -> None:
        self.what, self.arguments, self.state = what, arguments, state

    __call__ = Name.__call__  # so that one can be called in another

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.what, self.arguments, self.state


class Storage:
    def __init__(self, kind: str, key: str, count: Any) -> None:
        self.id = ("storage", Name("torch", kind), key, "cpu", count)


class Saver(pickle._Pickler):  # type: ignore[name-defined]
    def persistent_id(self, value: object) -> object:
        return value.id if isinstance(value, Storage) else None

    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if not isinstance(value, Name):
            super().save(value, save_persistent_id)
        elif self.proto < 4:
            self.write(f"c{value.module}\n{value.name}\n".encode())
        else:
            super().save(value.module)
            super().save(value.name)
            self.write(pickle.STACK_GLOBAL)


def tensor(
    shape: Any = (4, 6), strides: Any = (6, 1), offset: Any = 0, kind: str = "FloatStorage",
    key: str = "0", count: Any = 24,
) -> Call:  # fmt: skip
    hooks: dict[str, object] = collections.OrderedDict()
    rebuild = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, Storage(kind, key, count), offset, shape, strides, False, hooks)


def pickled(value: object, protocol: int = 2) -> bytes:
    out = io.BytesIO()
    Saver(out, protocol).dump(value)
    return out.getvalue()


def write(
    path: Path, value: object, entries: dict[str, bytes] | None = None, **options: Any
) -> Path:
    """A file as torch.save lays it out; `value` may be a pickle as it is."""
    program = value if isinstance(value, bytes) else pickled(value, options.pop("protocol", 2))
    stored = {"data.pkl": program, "byteorder": b"little", "data/0": BYTES, "version": b"3\n"}
    with zipfile.ZipFile(path, "w", options.pop("compression", zipfile.ZIP_STORED)) as archive:
        for name, data in (stored | (entries or {})).items():
            archive.writestr(f"model/{name}", data)
    return path


def refusal(path: Path) -> str:
    """The message that opening ends with: one line, naming the file."""
    with pytest.raises(CheckpointError) as caught:
        TorchFile(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


def text(value: str) -> bytes:
    """A string as an operation of a pickle."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def write_pt(path: Path, arrays: Mapping[str, np.ndarray], under: str = "") -> Path:
    """float32 arrays as torch.save writes a state dict, alone or `under` a key of a checkpoint."""
    state, entries = collections.OrderedDict(), {}
    for key, (name, array) in enumerate(arrays.items()):
        steps = tuple(step // 4 for step in np.ascontiguousarray(array).strides)
        state[name] = tensor(
            array.shape, steps[: array.ndim], 0, "FloatStorage", str(key), array.size
        )
        entries[f"data/{key}"] = array.astype("<f4").tobytes()
    whole = {"epoch": 5, "name": "run", under: state, "optimizer": {"state": {}}}
    return write(path, whole if under else state, entries)
