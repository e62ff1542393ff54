"""Files of torch.save without torch: read as written, and refused when damaged or hostile."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints import torchfile
from galago.checkpoints.torchfile import StridedTensor, TorchFile
from galago.errors import CheckpointError
from tests.helpers.pickles import BYTES, Call, Name, pickled, refusal, tensor, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_by_name(path: Path, protocol: int) -> None:
    state = {"a.weight": tensor(), "a.count": tensor((), (), 3), "none": tensor((0, 5), (5, 1))}
    tensors = TorchFile(write(path, state, protocol=protocol)).tensors
    assert list(tensors) == ["a.weight", "a.count", "none"]
    found = tensors["a.weight"]
    assert (found.name, found.dtype, found.shape) == ("a.weight", "F32", (4, 6))
    for _ in range(2):
        assert np.array_equal(found.read(), np.arange(24).reshape(4, 6))
        found.release()
    assert tensors["a.count"].read().shape == () and tensors["a.count"].read() == 3
    assert tensors["none"].read().shape == (0, 5)


@pytest.mark.parametrize(
    ("kind", "dtype", "numpy"),
    [
        ("DoubleStorage", "F64", "<f8"), ("FloatStorage", "F32", "<f4"),
        ("HalfStorage", "F16", "<f2"), ("BFloat16Storage", "BF16", "<u2"),
        ("LongStorage", "I64", "<i8"), ("IntStorage", "I32", "<i4"),
        ("ShortStorage", "I16", "<i2"), ("CharStorage", "I8", "i1"),
        ("ByteStorage", "U8", "u1"), ("BoolStorage", "BOOL", "?"),
    ],
)  # fmt: skip
def test_every_type(path: Path, kind: str, dtype: str, numpy: str) -> None:
    wanted = np.array([[1, 0, 1], [0, 1, 1]]).astype(numpy)
    state = {
        "x": tensor((2, 3), (3, 1), 0, kind, "0", 6),
        "t": tensor((3, 2), (1, 3), 0, kind, "0", 6),
    }
    tensors = TorchFile(write(path, state, {"data/0": wanted.tobytes()})).tensors
    assert tensors["x"].dtype == tensors["t"].dtype == dtype
    assert tensors["x"].read().dtype == tensors["t"].read().dtype == np.dtype(numpy)
    assert np.array_equal(tensors["x"].read(), wanted)
    assert np.array_equal(tensors["t"].read(), wanted.T)


def test_views_of_one_storage(path: Path) -> None:
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    state = {
        "transposed": tensor((6, 4), (1, 6)),
        "rows": tensor((2, 6), (6, 1), 12),
        "column": tensor((4,), (6,), 5),
        "corner": tensor((2, 3), (6, 1), 8),
        "expanded": tensor((3, 6), (0, 1), 6),
        "one": tensor((1, 6), (999, 1), 18),
        "strange one": tensor((1, 4), (1 << 62, 6)),
    }
    tensors = TorchFile(write(path, state)).tensors
    wanted = {
        "transposed": whole.T,
        "rows": whole[2:],
        "column": whole[:, 5],
        "corner": whole[1:3, 2:5],
        "expanded": np.stack([whole[1]] * 3),
        "one": whole[3:],
        "strange one": whole[:, :1].T,
    }
    for name, array in wanted.items():
        assert np.array_equal(tensors[name].read(), array), name
        tensors[name].release()
    assert [n for n, t in tensors.items() if not isinstance(t, StridedTensor)] == ["rows", "one"]


@pytest.mark.parametrize("keys", [["state_dict"], ["model"], ["model", "state_dict"]])
def test_wrappers(path: Path, keys: list[str]) -> None:
    value: Any = {"x": tensor(), "step": 3, "note": None}
    for key in keys:
        value = {"epoch": 7, "loss": 0.25, "seen": True, "names": ["a"], key: value, "y": tensor()}
    assert list(TorchFile(write(path, value)).tensors) == ["x"]


def test_ordered_dictionaries_and_parameters(path: Path) -> None:
    parameter = Call(
        Name("torch._utils", "_rebuild_parameter"), tensor(), True, collections.OrderedDict()
    )
    state: Any = collections.OrderedDict(x=parameter)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    assert b"_metadata" in pickled(state)
    tensors = TorchFile(write(path, state)).tensors
    assert np.array_equal(tensors["x"].read().ravel(), np.arange(24))


def test_nothing_of_torch_is_loaded(path: Path) -> None:
    write(path, {"x": tensor()})
    code = (
        "import sys, pathlib; from galago.checkpoints.torchfile import TorchFile; "
        "TorchFile(pathlib.Path(sys.argv[1])).tensors['x'].read(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout.split() == ["False"], done.stderr


# -- hostile tensors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (tensor((5, 6)), "reaches beyond"),
        (tensor(offset=1), "reaches beyond"),
        (tensor((24,), (2,)), "reaches beyond"),
        (tensor((2,), (1 << 62,)), "reaches beyond"),
        (tensor(count=25), "cut short"),
        (tensor(count=1 << 62), "cut short"),
        (tensor(kind="DoubleStorage"), "cut short"),
        (tensor(key="7"), "lacks its entry"),
        (tensor(key="../../../etc/passwd"), "lacks its entry"),
        (tensor((1 << 40, 1 << 40), (0, 0)), "larger than the file"),
        (tensor((1 << 20, 6), (0, 1)), "larger than the file"),
        (tensor((0, 1 << 62), (1, 1)), "larger than the file"),
        (tensor((-4, 6)), "damaged"),
        (tensor((4, 6), (-6, 1)), "damaged"),
        (tensor((4, 6), (6,)), "damaged"),
        (tensor(offset=-1), "damaged"),
        (tensor(offset=None), "damaged"),
        (tensor([4, 6]), "damaged"),
        (tensor((4, 6.0)), "damaged"),
        (tensor((True, 6)), "damaged"),
        (tensor((1,) * 33, (1,) * 33), "damaged"),
        (Call(Name("torch._utils", "_rebuild_tensor_v2"), None, 0, (1,), (1,), 0, 0), "damaged"),
    ],
)
def test_tensors_that_do_not_fit(path: Path, value: object, said: str) -> None:
    message = refusal(write(path, {"a.weight": value}))
    assert said in message and ("a.weight" in message or "lacks" in message)


@pytest.mark.parametrize(
    "value",
    [None, [], {}, 3, "x", tensor(), {"x": 1}, {3: tensor()}, {"model": {"x": 1}}, [tensor()]],
)
def test_no_state_dict(path: Path, value: object) -> None:
    assert "no tensors by name" in refusal(write(path, value))


# -- hostile zips ----------------------------------------------------------------------------------


def test_every_cut_of_a_file(path: Path) -> None:
    whole = write(path, {"x": tensor()}).read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert "fetch it again" in refusal(path)


def test_changed_bytes_end_in_one_error_or_none(path: Path) -> None:
    whole = np.frombuffer(
        write(path, {"x": tensor(), "t": tensor((6, 4), (1, 6))}).read_bytes(), "u1"
    )
    rng = np.random.default_rng(1)
    for _ in range(800):
        changed = whole.copy()
        changed[rng.integers(0, len(whole), 2)] = rng.integers(0, 256, 2)
        path.write_bytes(changed.tobytes())
        try:
            for found in TorchFile(path).tensors.values():
                found.read().tobytes()
        except CheckpointError as error:
            assert "\n" not in str(error)


def test_large_pickles_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchfile, "MAX_PICKLE", 100)
    assert "more than the 100" in refusal(write(path, {"x": tensor()}))


def test_missing_files_and_folders(path: Path) -> None:
    assert "cannot be read" in refusal(path)
    path.mkdir()
    assert "cannot be read" in refusal(path)
    if hasattr(os, "mkfifo"):  # which would wait for ever
        path.rmdir()
        os.mkfifo(path)
        assert "not a regular file" in refusal(path)


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"PK\x05\x06" + bytes(18), b"<html>"])
def test_other_files(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert "is not a file of torch.save" in refusal(path)


def test_the_old_form(path: Path) -> None:
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps({}, 2))
    assert "before version 1.6" in refusal(path) and "save it again" in refusal(path)


def test_compressed(path: Path) -> None:
    write(path, {"x": tensor()}, compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(path)


def test_big_endian(path: Path) -> None:
    assert "big-endian" in refusal(write(path, {"x": tensor()}, {"byteorder": b"big"}))


def test_without_a_byte_order(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled({"x": tensor()}))
        archive.writestr("archive/data/0", BYTES)
    assert TorchFile(path).tensors["x"].read().sum() == np.arange(24).sum()


def test_other_zips(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "x")
    assert "not as torch.save" in refusal(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/data.pkl", pickled({}))
        archive.writestr("b/data.pkl", pickled({}))
    assert "not as torch.save" in refusal(path)


def test_strange_names_are_never_looked_at(path: Path) -> None:
    write(path, {"x": tensor()}, {"../../../../outside": b"x", "data/../../1": b"y"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("/absolute", b"x")
    assert list(TorchFile(path).tensors) == ["x"]
    assert os.listdir(path.parent) == ["model.pt"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice(path: Path) -> None:
    write(path, {"x": tensor()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/0", bytes(96))
    assert "not as torch.save" in refusal(path)


def test_a_long_table_of_contents(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, {"x": tensor()}, {f"code/{n}": b"" for n in range(50)})
    monkeypatch.setattr(torchfile, "_MAX_DIRECTORY", 1000)
    assert "table of contents" in refusal(path)
