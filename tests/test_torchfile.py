"""Files of torch.save without torch: built by hand, read as written, and refused when hostile."""

from __future__ import annotations

import collections
import functools
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints import torchfile, torchpickle
from galago.checkpoints.torchfile import StridedTensor, TorchFile
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


# -- hostile pickles -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Call(os.system, "touch HERE"), f"{os.system.__module__}.system"),
        (Call(Name("os", "system"), "touch HERE"), "os.system"),
        (Call(Name("builtins", "eval"), "open('HERE', 'w')"), "builtins.eval"),
        (Call(Name("__builtin__", "eval"), "open('HERE', 'w')"), "__builtin__.eval"),
        (
            Call(Call(Name("builtins", "getattr"), Name("os", "system"), "x"), "y"),
            "builtins.getattr",
        ),
        (Call(functools.partial, print, "HERE"), "functools.partial"),
        (
            Call(Name("collections", "OrderedDict.fromkeys"), [1]),
            "collections.OrderedDict.fromkeys",
        ),
        (Call(Name("collections", "Counter")), "collections.Counter"),
        (Call(Name("torch", "load"), "HERE"), "torch.load"),
        (Call(Name("torch", "_utils._rebuild_tensor_v2.__globals__")), "__globals__"),
        (Call(Name("torch.storage", "_load_from_bytes"), b"x"), "torch.storage._load_from_bytes"),
        (Call(Name("numpy.core.multiarray", "scalar")), "numpy.core.multiarray.scalar"),
        (Call(Name("__torch__", "Model")), "__torch__.Model"),
        (Name("a" * 10_000, "b"), "aaaa"),
        (Name("torch\x1b[31m\u202e", "b"), r"torch\x1b[31m\u202e"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_names_that_weights_do_not_need(
    path: Path, monkeypatch: pytest.MonkeyPatch, value: object, named: str, protocol: int
) -> None:
    monkeypatch.chdir(path.parent)
    for state in (value, {"x": tensor(), "y": value}, {"x": [(value,)]}):
        message = refusal(write(path, state, protocol=protocol))
        assert named in message and "executes nothing" in message and len(message) < 500
    assert os.listdir(path.parent) == ["model.pt"]


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


ORDERED = b"ccollections\nOrderedDict\n"
FLOATS = b"ctorch\nFloatStorage\n"


@pytest.mark.parametrize(
    ("program", "named"),
    [
        (b"(ios\nsystem\n.", "INST"),
        (b"(" + ORDERED + text("x") + b"o.", "OBJ"),
        (ORDERED + b")\x81.", "NEWOBJ"),
        (ORDERED + b")}\x92.", "NEWOBJ_EX"),
        (b"\x82\x01.", "EXT1"),
        (b"Pstorage\n.", "PERSID"),
        (b"\x96" + struct.pack("<Q", 1 << 60) + b".", "BYTEARRAY8"),
        (b"B" + struct.pack("<I", 1 << 31) + b".", "BINBYTES"),
        (b"I1\n.", "INT"),
        (b"0.", "POP"),
        (b"\xff.", "ff"),
        (FLOATS + b")R.", "call"),
        (b"})R.", "call"),
        (text("os.system") + b")R.", "call"),
        (ORDERED + b"}b.", "setting up"),
        (FLOATS + b"}b.", "setting up"),
        (b"]}b.", "setting up"),
        (ORDERED + b")R" + text("x") + b"b.", "setting up"),
        (ORDERED + b")RN}\x86b.", "setting up"),
    ],
)
def test_operations_that_weights_do_not_need(path: Path, program: bytes, named: str) -> None:
    message = refusal(write(path, b"\x80\x02" + program))
    assert named in message and "executes nothing" in message


DAMAGED = [
    b"", b".", b"\x80", b"\x80\x02", b"N", b"}", b"t.", b"u.", b"(", b"(.", b"(Nq", b"q\x00.",
    b"h\x00.", b"j\xff\xff\xff\x7f.", b"X\xff\xff\xff\xffab.", b"X\x01\x00\x00\x00\xff.",
    b"ccollections\n.", b"c\xff\n\n.", b"NN\x93.", b"]Ns.", b"}Na.", b"}(Nu.", b"}]Ns.", b"N(\x86.",
    b"NQ.", b"(NNNNNtQ.", b"\x8a\xff.", b"\x8a\x09123456789.", text("abcde") + b"Q.", b"}Q.",
    ORDERED + b"]\x85R.", ORDERED + b"N\x85R.", b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    b"ctorch._utils\n_rebuild_parameter\nNNN\x87R.",
    b"(" + text("storage") + ORDERED + text("0") + text("cpu") + b"K\x18tQ.",
    b"(" + text("storage") + FLOATS + b"K\x00" + text("cpu") + b"K\x18tQ.",
    b"(" + text("storage") + FLOATS + text("0") + text("cpu") + b"J\xff\xff\xff\xfftQ.",
    b"(" + text("storage") + FLOATS + text("0") + text("cpu") + b"\x88tQ.",
]  # fmt: skip


@pytest.mark.parametrize("program", DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_pickles(path: Path, program: bytes) -> None:
    assert refusal(write(path, program))


def test_every_cut_of_a_pickle(path: Path) -> None:
    program = pickled({"x": tensor(), "y": [1, 2.5, None]})
    for length in range(len(program)):
        with pytest.raises(CheckpointError):
            torchpickle.read_pickle(path, program[:length])


def test_random_bytes_end_in_one_error(path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = pickled({"x": tensor(), "y": collections.OrderedDict(a=1)})
    codes = np.frombuffer(b"".join(torchpickle._OPCODES), np.uint8)
    for _ in range(3000):
        changed = np.frombuffer(whole, np.uint8).copy()
        at = rng.integers(0, len(changed), 3)
        changed[at] = rng.choice(codes, 3)
        for program in (changed.tobytes(), rng.choice(codes, 40).tobytes() + b"."):
            try:
                torchpickle.read_pickle(path, program)
            except CheckpointError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("opening", [b"}", b"]", b"N\x85", b"(", b"N", b"Nq\x00"])
def test_long_programs_end(path: Path, monkeypatch: pytest.MonkeyPatch, opening: bytes) -> None:
    monkeypatch.setattr(torchpickle, "_MAX_STEPS", 50_000)
    assert "too long" in refusal(write(path, opening * 50_000))


def test_deep_nesting(path: Path) -> None:
    deep = b"N" + b"\x85" * 150_000
    assert "no tensors" in refusal(write(path, deep + b"."))
    assert "names" in refusal(write(path, b"}" + deep + b"Ns."))  # hashed, it would end the process
    wrapped = b"}" + text("x") + b"]" + deep + b"as."
    assert "no tensors" in refusal(write(path, wrapped))


def test_calls_inside_calls(path: Path) -> None:
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\nq\x00"
    program = b"N" + b"".join(b"q\x01" + rebuild + b"(h\x01NNNNNtR" for _ in range(20_000)) + b"."
    assert refusal(write(path, program))


def test_a_dictionary_inside_itself(path: Path) -> None:
    program = b"}q\x00" + text("state_dict") + b"h\x00s."
    assert "no tensors" in refusal(write(path, program))


def test_large_pickles_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchfile, "MAX_PICKLE", 100)
    assert "more than the 100" in refusal(write(path, {"x": tensor()}))


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


def test_missing_files_and_folders(path: Path) -> None:
    assert "cannot be read" in refusal(path)
    path.mkdir()
    assert "cannot be read" in refusal(path)


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
