"""Pickles are read, never run: what weights don't need is refused, and every program ends."""

from __future__ import annotations

import collections
import functools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints import torchpickle
from galago.errors import CheckpointError
from tests.helpers.pickles import Call, Name, pickled, refusal, tensor, text, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


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
    deep = b"N" + b"\x85" * 20_000
    assert "no tensors" in refusal(write(path, deep + b"."))
    # hashed, it would end the process
    assert "names" in refusal(write(path, b"}N" + b"\x85" * 150_000 + b"Ns."))
    wrapped = b"}" + text("x") + b"]" + deep + b"as."
    assert "no tensors" in refusal(write(path, wrapped))


def test_calls_inside_calls(path: Path) -> None:
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\nq\x00"
    program = b"N" + b"".join(b"q\x01" + rebuild + b"(h\x01NNNNNtR" for _ in range(20_000)) + b"."
    assert refusal(write(path, program))


def test_a_dictionary_inside_itself(path: Path) -> None:
    program = b"}q\x00" + text("state_dict") + b"h\x00s."
    assert "no tensors" in refusal(write(path, program))
