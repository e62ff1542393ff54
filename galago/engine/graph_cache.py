"""Compiled graphs kept for the next start, without their weights.

Building and compiling a network takes longer than its first run. The engine can write a compiled
graph down and leave out constants that it finds again in a file, if it has read them from there: so
those that lie in the model's own file are handed to it as parts of that file, and about a megabyte
is left (https://docs.openvino.ai, "model caching", CACHE_MODE OPTIMIZE_SIZE and WEIGHTS_PATH).

A kept graph is named after all that it was made from: the weights' file, the network and its
settings, the engine, galago, the processor, the device and its driver. So none can be stale; what
is damaged or somebody else's is made again, and what can't be written is done without. Graphs lie
in galago's cache only: none is ever read from a model's folder, which may come from anywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import mmap
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.checkpoints.tensors import FileState, LazyTensor, let_go
from galago.disk import keep_newest, whole_file
from galago.engine.device import Device
from galago.engine.graph.ops import Weights
from galago.engine.processor import instructions
from galago.engine.runtime import ov
from galago.version import __version__

__all__ = ["Build", "GraphCache", "Settings", "Shared", "compiled"]

Settings = Mapping[str, Any]
Build = Callable[[], tuple[ov.Model, Weights]]

_SINCE = (2026, 4)  # OpenVINO's version that this was tried with; older ones may keep the weights
_KEPT = 16  # files; those not used for longest go first
_LARGEST = 32 << 20  # bytes that a graph may still hold; beyond, reading it saves little
_DIGEST = 32
# What makes a graph: this room, its networks, and how tensors are read (MobileCLIP's branches are
# joined into constants). What else changes in galago leaves kept graphs as they are.
_ROOM = Path(__file__).parent
_MADE_BY = (_ROOM, _ROOM / "graph", _ROOM.parent / "checkpoints")
_WEIGHTLESS = {"CACHE_MODE": "OPTIMIZE_SIZE"}


@dataclass(frozen=True)
class GraphCache:
    """Graphs whose weights lie in `file`, kept in `folder`, which need not exist or be writable."""

    folder: Path
    file: FileState


@dataclass(frozen=True)
class Shared:
    """What a compiled graph reads its weights from; to be kept as long as the graph is."""

    weights: Weights
    engine_file: Path | None = None

    def let_go(self) -> None:
        """Drop pages of memory-mapped weights: the engine packs its own copy of the large ones.

        It does so partly when compiling and partly at the first run. A page that is needed after
        all is simply read again.
        """
        for stored in self.weights.values():
            let_go(stored)
        if self.engine_file is not None and sys.platform == "linux":
            _drop_pages(self.engine_file)


def _drop_pages(path: Path) -> None:
    """Of a file that the engine has mapped, for which it has no call: all that can't be written."""
    advise = ctypes.CDLL(None).madvise
    with contextlib.suppress(OSError), open("/proc/self/maps", "rb") as maps:
        for line in maps:
            place, access, *_, name = line.rstrip(b"\n").split(maxsplit=5)
            if name == os.fsencode(path) and access.startswith(b"r-"):
                begin, end = (int(address, 16) for address in place.split(b"-"))
                advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)


def compiled(
    device: Device,
    build: Build,
    settings: Settings,
    cache: GraphCache | None,
    made_from: object,
) -> tuple[ov.CompiledModel, Shared]:
    """The network that `build` makes, compiled for the device, and the weights it shares.

    From the cache when it was made before: then `build` isn't called, and the engine maps the
    weights' file itself. `made_from`: what the graph depends on beside that file and the settings;
    its repr must tell.
    """
    core, name = device.core, device.name
    if cache is None or _version() < _SINCE or not device.keeps_graphs:
        model, weights = build()
        return core.compile_model(model, name, dict(settings)), Shared(weights)
    key = _key(device, settings, cache.file, made_from)
    path = cache.folder / f"{hashlib.blake2b(key, digest_size=16).hexdigest()}.graph"
    found = _imported(device, path, key, settings, cache.file)
    if found is not None:
        return found, Shared({}, cache.file.path)
    model, weights = build()
    outside = None
    with contextlib.suppress(RuntimeError):
        outside = _tie(core, model, weights)
    if outside is None or outside > _LARGEST:
        return core.compile_model(model, name, dict(settings)), Shared(weights)
    try:
        made = core.compile_model(model, name, {**settings, **_WEIGHTLESS})
    except RuntimeError:
        if device.plain:
            raise
        return core.compile_model(model, name, dict(settings)), Shared(weights)
    with contextlib.suppress(OSError, RuntimeError):
        if cache.file.unchanged():
            blob = io.BytesIO()
            made.export_model(blob)
            _write(path, key, blob.getvalue())
    return made, Shared(weights)


def _version() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", ov.get_version())[:2])


def _key(device: Device, settings: Settings, file: FileState, made_from: object) -> bytes:
    machine = (platform.machine(), os.cpu_count(), instructions(), device.identity)
    code = [
        (path.name, (state := path.stat()).st_size, state.st_mtime_ns)
        for folder in _MADE_BY
        for path in sorted(folder.glob("*.py"))
    ]  # for those who change galago: its version alone would not tell
    galago = (__version__, ov.get_version(), code)
    return repr((galago, machine, file, sorted(settings.items()), made_from)).encode()


def _imported(
    device: Device, path: Path, key: bytes, settings: Settings, file: FileState
) -> ov.CompiledModel | None:
    """None for what is missing, damaged, made from something else or another person's."""
    try:
        with path.open("rb") as opened:
            if hasattr(os, "getuid") and os.fstat(opened.fileno()).st_uid not in (0, os.getuid()):
                return None
            digest, blob = opened.read(_DIGEST), opened.read()
        if digest != _digest(key, blob) or not file.unchanged():
            return None
        chosen = {**settings, **_WEIGHTLESS, "WEIGHTS_PATH": str(file.path)}
        found = device.core.import_model(io.BytesIO(blob), device.name, chosen)
    except (OSError, RuntimeError, MemoryError):
        return None
    with contextlib.suppress(OSError):  # a cache that can't be written can still be read
        os.utime(path)
    return found


def _digest(key: bytes, blob: bytes) -> bytes:
    digest = hashlib.blake2b(len(key).to_bytes(8, "little"), digest_size=_DIGEST)
    digest.update(key)
    digest.update(blob)
    return digest.digest()


def _write(path: Path, key: bytes, blob: bytes) -> None:
    """Whole or not at all, and the oldest make room."""
    if len(blob) > 2 * _LARGEST:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, private=True) as file:
        file.write(_digest(key, blob))
        file.write(blob)
    keep_newest(path.parent, "*.graph", _KEPT)


def _tie(core: ov.Core, model: ov.Model, weights: Weights) -> int:
    """Make constants that share a file's bytes known to the engine as parts of that file.

    Python cannot say so of a constant, but one that the engine reads with a model of its own format
    knows where it came from. So a model of nothing but these constants is read, over the same
    memory, and they take the others' places. Returns how many bytes of constants aren't in the
    file.
    """
    places = {t.read().ctypes.data: t for t in weights.values() if isinstance(t, LazyTensor)}
    inside: list[tuple[Any, int]] = []
    whole, outside = None, 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant":
            continue
        tensor = places.get(node.data.ctypes.data)
        place = None if tensor is None else tensor.place()
        if place is None:
            outside += node.get_byte_size()
        else:
            whole, begin = place
            inside.append((node, begin))
    if whole is not None:
        memory = ov.Tensor(whole, ov.Shape([whole.nbytes]), ov.Type.u8)
        known = core.read_model(model=_listed(inside).encode(), weights=memory)
        by_name = {node.get_friendly_name(): node for node in known.get_ordered_ops()}
        for index, (node, _) in enumerate(inside):
            node.output(0).replace(by_name[f"c{index}"].output(0))
    return outside


def _listed(constants: list[tuple[Any, int]]) -> str:
    """A model in the engine's own format, each constant a result of its own."""
    layers, edges = [], []
    for index, (node, begin) in enumerate(constants):
        kind, shape = node.get_element_type().get_type_name(), list(node.shape)
        sizes = "".join(f"<dim>{size}</dim>" for size in shape)
        precision = re.sub("^F", "FP", kind.upper())  # as ports spell f32, bf16, i8, i4
        port = f'<port id="0" precision="{precision}">{sizes}</port>'
        data = f'element_type="{kind}" shape="{",".join(map(str, shape))}" offset="{begin}"'
        layers.append(
            f'<layer id="{2 * index}" name="c{index}" type="Const" version="opset1">'
            f'<data {data} size="{node.get_byte_size()}"/>'
            f"<output>{port}</output></layer>"
            f'<layer id="{2 * index + 1}" name="r{index}" type="Result" version="opset1">'
            f"<input>{port}</input></layer>"
        )
        edges.append(
            f'<edge from-layer="{2 * index}" from-port="0" to-layer="{2 * index + 1}" to-port="0"/>'
        )
    return (
        f'<net name="constants" version="11"><layers>{"".join(layers)}</layers>'
        f"<edges>{''.join(edges)}</edges></net>"
    )
