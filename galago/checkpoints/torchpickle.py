"""The pickle inside a file of torch.save, read as inert values.

A pickle is a program: Python's own reader imports and calls whatever it names.  The reader here
knows the opcodes that build plain containers and the few names that weights need; it keeps the
names as values, never looks them up, and refuses everything else, so a hostile file can do no more
than be refused.  Opcodes and their arguments are those of CPython's Lib/pickletools.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from galago.errors import CheckpointError

__all__ = ["MAX_PICKLE", "STORAGES", "Storage", "Tensor", "is_count", "read_pickle", "shown"]

# Storage class -> galago's name of its type (the dtypes of safetensors).
STORAGES = {
    "torch.DoubleStorage": "F64",
    "torch.FloatStorage": "F32",
    "torch.HalfStorage": "F16",
    "torch.BFloat16Storage": "BF16",
    "torch.LongStorage": "I64",
    "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16",
    "torch.CharStorage": "I8",
    "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL",
}
_DICT = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
_CALLS = {_DICT, _TENSOR, _PARAMETER}

MAX_PICKLE = 64 << 20  # bytes; a thousand tensors take about 200 KB
_MAX_STEPS = 2_000_000  # opcodes, so that a small file can't ask for gigabytes of empty lists


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the entry data/KEY: `dtype` as in safetensors, `count` of them."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """The arguments of a tensor as they stand in the pickle: of any type and unchecked."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


@dataclass(frozen=True)
class _Name:
    """A class or function that the pickle names: never looked up, never called."""

    path: str


def read_pickle(path: Path, program: bytes) -> Any:
    """The value that a pickle builds, of dict, list, tuple, str, int, float, bool, None and Tensor.

    An OrderedDict becomes a dict and a Parameter its Tensor.  `path` is for messages.  Raises
    CheckpointError when the pickle is damaged, too long, or asks for anything else.
    """
    return _Machine(path, program).run()


def is_count(number: Any) -> bool:
    """Whether this is an int (no bool) from zero up."""
    return type(number) is int and number >= 0


def shown(text: str) -> str:
    """A name from a file, fit for one line of a message."""
    return ascii(text[:100])[1:-1]


class _Machine:
    """A stack machine for the opcodes that containers of tensors are made of."""

    def __init__(self, path: Path, program: bytes) -> None:
        self._path = path
        self._program = program
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the program builds; CheckpointError for anything but plain building."""
        steps = _OPCODES
        try:
            for _ in range(_MAX_STEPS):
                code = self._take(1)
                if code == b".":
                    return self._pop()
                step = steps.get(code)
                if step is None:
                    self._refuse(f"the pickle operation {_opcode(code)}")
                step(self)
        except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            raise CheckpointError(f"{self._path}: data.pkl is damaged; fetch it again") from error
        raise CheckpointError(f"{self._path}: data.pkl is too long for a file of weights")

    def _refuse(self, what: str) -> NoReturn:
        raise CheckpointError(
            f"{self._path} asks for {what}; galago executes nothing that a file contains: load it "
            "in torch if you trust it, and save model.state_dict() alone"
        )

    # Bytes of the program.

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._program):
            raise ValueError("the end")
        taken = self._program[self._at : end]
        self._at = end
        return taken

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))[0]

    def text(self, form: str) -> str:
        return self._take(self.number(form)).decode("utf-8", "surrogatepass")

    def line(self) -> str:
        end = self._program.index(b"\n", self._at)
        return self._take(end + 1 - self._at)[:-1].decode("utf-8")

    def long(self) -> int:
        count = self.number("B")
        if count > 8:
            raise ValueError("a number of more than 64 bits")
        return int.from_bytes(self._take(count), "little", signed=True)

    # The stack.

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise IndexError("nothing left")
        return self._stack.pop()

    def pop_many(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def pop_marked(self) -> list[Any]:
        mark = self._marks.pop()
        values = self._stack[mark:]
        del self._stack[mark:]
        return values

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def remember(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def memoize(self) -> None:
        self.remember(len(self._memo))

    def recall(self, key: int) -> None:
        self.push(self._memo[key])

    # Containers.

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError("not a list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise TypeError("not a dictionary")
        # Only text and numbers as keys: hashing a tuple in a tuple in a tuple … ends the process.
        if not all(type(key) in (str, int) for key in values[::2]):
            raise CheckpointError(
                f"{self._path} has a dictionary by other things than names; save model.state_dict()"
            )
        target.update(zip(values[::2], values[1::2], strict=True))

    # Names and what they stand for.

    def name(self, module: Any, attribute: Any) -> None:
        if type(module) is not str or type(attribute) is not str:
            raise TypeError("not a name")
        path = f"{module}.{attribute}"
        if path not in _CALLS and path not in STORAGES:
            self._refuse(shown(path))
        self.push(_Name(path))

    def call(self) -> None:
        what, values = self.pop_many(2)
        path = what.path if isinstance(what, _Name) else ""
        if type(values) is not tuple or path not in _CALLS:
            self._refuse("a call of something other than a tensor")
        if path == _DICT and not values:
            self.push({})
        elif path == _TENSOR and len(values) in (6, 7):
            self.push(Tensor(*values[:4]))
        elif path == _PARAMETER and len(values) == 3 and isinstance(values[0], Tensor):
            self.push(values[0])
        else:
            raise ValueError("arguments that don't fit")

    def build(self) -> None:
        """The attributes of an OrderedDict (`_metadata`): dropped."""
        target, state = self.pop_many(2)
        if type(target) is not dict or type(state) is not dict:
            self._refuse("setting up an object of its own")
        self.push(target)

    def storage(self) -> None:
        tag, kind, key, _, count = self._pop()
        path = kind.path if isinstance(kind, _Name) else ""
        if tag != "storage" or path not in STORAGES or type(key) is not str or not is_count(count):
            raise ValueError("not a storage")
        self.push(Storage(STORAGES[path], key, count))


def _opcode(code: bytes) -> str:
    """The name of an opcode, for a message."""
    import pickletools  # only where a file is refused

    known = {op.code.encode("latin-1"): op.name for op in pickletools.opcodes}
    return known.get(code, code.hex())


_OPCODES: dict[bytes, Callable[[_Machine], None]] = {
    # framing: the protocol's number and the length of a frame say nothing that is needed
    b"\x80": lambda m: m.number("B"),
    b"\x95": lambda m: m.number("Q"),
    # constants
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("i")),
    b"K": lambda m: m.push(m.number("B")),
    b"M": lambda m: m.push(m.number("H")),
    b"\x8a": lambda m: m.push(m.long()),
    b"G": lambda m: m.push(m.number("d")),
    b"X": lambda m: m.push(m.text("I")),
    b"\x8c": lambda m: m.push(m.text("B")),
    # containers
    b"(": lambda m: m.mark(),
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_marked())),
    b"\x85": lambda m: m.push(tuple(m.pop_many(1))),
    b"\x86": lambda m: m.push(tuple(m.pop_many(2))),
    b"\x87": lambda m: m.push(tuple(m.pop_many(3))),
    b"a": lambda m: m.append(m.pop_many(1)),
    b"e": lambda m: m.append(m.pop_marked()),
    b"s": lambda m: m.set_items(m.pop_many(2)),
    b"u": lambda m: m.set_items(m.pop_marked()),
    # the memo
    b"q": lambda m: m.remember(m.number("B")),
    b"r": lambda m: m.remember(m.number("I")),
    b"\x94": lambda m: m.memoize(),
    b"h": lambda m: m.recall(m.number("B")),
    b"j": lambda m: m.recall(m.number("I")),
    # names
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.name(*m.pop_many(2)),
    b"R": lambda m: m.call(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.storage(),
}
