"""Compiled graphs kept for the next start: same answers, never stale, done without if need be."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import FileState
from galago.checkpoints.writing import write_arrays
from galago.clip.mobileclip import MobileCLIP
from galago.convert.load import load_sessions
from galago.engine import graph_cache
from galago.engine.device import cpu
from galago.engine.graph import ops
from galago.engine.graph_cache import GraphCache
from galago.engine.network import Network
from galago.engine.runtime import op, ov
from galago.engine.vlm_sessions import Sessions, fastvit, qwen2
from galago.vlm.fastvlm import FastVLM
from tests.helpers.places import TOP
from tests.helpers.running import answer

WIDTH = 64
BUILT: list[str] = []


def made(folder: Path, seed: int = 0) -> Path:
    """A model of two small networks, in a file; returns its folder."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    arrays = {n: random.standard_normal((WIDTH, WIDTH), dtype=np.float32) for n in ("one", "two")}
    write_arrays(folder / "new.safetensors", arrays)
    (folder / "new.safetensors").replace(folder / "model.safetensors")
    return folder


def load(folder: Path, *, cache_dir: Path | None = None, threads: int = 1) -> list[Network]:
    """Its networks, compiled as those of a large one are."""
    file = SafetensorsFile(folder / "model.safetensors")
    cache = None if cache_dir is None else GraphCache(cache_dir, file.state)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}

    def build(name: str) -> tuple[ov.Model, ops.Weights]:
        BUILT.append(name)
        x = op.parameter([-1, WIDTH], name="x", dtype=np.float32)
        product = op.matmul(x, ops.raw(file.tensors[name]), transpose_a=False, transpose_b=True)
        moved = op.add(product, ops.floats(np.arange(WIDTH)))
        return ov.Model([moved], [x]), {name: file.tensors[name]}

    return [Network(lambda n=name: build(n), settings, cache, name) for name in ("one", "two")]


def said(model: list[Network]) -> list[np.ndarray]:
    x = np.random.default_rng(9).random((3, WIDTH), dtype=np.float32)
    return [network.run(network.new_request(), {"x": x}) for network in model]


def same(a: list[Network], b: list[Network]) -> bool:
    return all(np.array_equal(left, right) for left, right in zip(said(a), said(b), strict=True))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("model"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "graphs"


@pytest.fixture
def built() -> list[str]:
    """The networks that were built so far, rather than read."""
    BUILT.clear()
    return BUILT


def graphs(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.graph"))


def test_a_graph_is_made_once(model: Path, cache: Path, built: list[str]) -> None:
    plain = load(model)
    built.clear()
    assert same(load(model, cache_dir=cache), plain)
    assert len(built) == 2 == len(graphs(cache))
    assert same(load(model, cache_dir=cache), plain)
    assert len(built) == 2


def test_nothing_is_kept_or_read_beside_the_model(model: Path, cache: Path) -> None:
    before = sorted(model.iterdir())
    load(model, cache_dir=cache)
    assert sorted(model.iterdir()) == before


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "bit", "swapped", "gone"])
def test_what_is_damaged_is_made_again(
    model: Path, cache: Path, built: list[str], damage: str
) -> None:
    plain = load(model, cache_dir=cache)
    one, two = graphs(cache)
    whole = one.read_bytes()
    if damage == "swapped":
        one.write_bytes(two.read_bytes())
    elif damage == "gone":
        one.unlink()
    else:
        bit = bytes([*whole[:-9], whole[-9] ^ 1, *whole[-8:]])
        bad = {"cut": whole[: len(whole) // 2], "empty": b"", "noise": os.urandom(5000), "bit": bit}
        one.write_bytes(bad[damage])
    built.clear()
    assert same(load(model, cache_dir=cache), plain)
    assert len(built) == 1
    load(model, cache_dir=cache)
    assert len(built) == 1 and len(graphs(cache)) == 2


def test_what_the_engine_refuses_is_made_again(model: Path, cache: Path, built: list[str]) -> None:
    """Also a file that galago vouches for, as after a mistake of its own."""
    plain = load(model, cache_dir=cache)
    for path in graphs(cache):
        path.unlink()
    write = graph_cache._write

    def wrong(path: Path, key: bytes, blob: bytes) -> None:
        write(path, key, blob[:100])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_cache, "_write", wrong)
        load(model, cache_dir=cache)
    assert len(graphs(cache)) == 2
    built.clear()
    assert same(load(model, cache_dir=cache), plain) and len(built) == 2


def test_another_model_in_the_same_place(tmp_path: Path, cache: Path) -> None:
    before = said(load(made(tmp_path / "it"), cache_dir=cache))
    folder = made(tmp_path / "it", seed=1)
    plain = load(folder)
    assert same(load(folder, cache_dir=cache), plain)
    assert same(load(folder, cache_dir=cache), plain)
    assert not np.array_equal(said(plain)[0], before[0])


def test_weights_changed_while_a_graph_is_made(model: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    export = graph_cache._tie

    def touched(*args: Any) -> int:
        os.utime(folder / "model.safetensors", ns=(1, 1))
        return export(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_cache, "_tie", touched)
        load(folder, cache_dir=cache)
    assert not graphs(cache)


def test_other_settings_are_other_graphs(model: Path, cache: Path, built: list[str]) -> None:
    load(model, cache_dir=cache, threads=1)
    load(model, cache_dir=cache, threads=2)
    assert len(built) == 4 == len(graphs(cache))


@pytest.mark.parametrize("part", ["instructions", "__version__"])
def test_another_processor_or_galago_makes_others(
    model: Path, cache: Path, built: list[str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    load(model, cache_dir=cache)
    changed: Any = "9.9" if part == "__version__" else lambda: "flags: none"
    monkeypatch.setattr(graph_cache, part, changed)
    load(model, cache_dir=cache)
    assert len(built) == 4 == len(graphs(cache))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_another_persons_graphs_are_not_read(
    model: Path, cache: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(model, cache_dir=cache)
    fstat = os.fstat

    def theirs(handle: int) -> os.stat_result:
        state = list(fstat(handle))
        state[4] = os.getuid() + 1
        return os.stat_result(state)

    monkeypatch.setattr(graph_cache.os, "fstat", theirs)
    load(model, cache_dir=cache)
    assert len(built) == 4


def test_what_a_killed_process_left_goes(model: Path, cache: Path) -> None:
    cache.mkdir()
    old, fresh = cache / ".a.x.part", cache / ".b.y.part"
    for part in (old, fresh):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    load(model, cache_dir=cache)
    assert graphs(cache) and not old.exists() and fresh.exists()


def test_a_cache_that_cannot_be_written_is_done_without(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert same(load(model, cache_dir=tmp_path / "file"), load(model))
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.parametrize("where", ["replace", "write"])
def test_a_full_disk_leaves_nothing(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(graph_cache, "_digest", lambda *_: full())
    plain = load(model)
    assert same(load(model, cache_dir=cache), plain)
    assert not list(cache.iterdir())


def test_two_at_once(model: Path, cache: Path) -> None:
    plain = load(model)
    loaded: list[list[Network]] = []

    def work() -> None:
        loaded.append(load(model, cache_dir=cache))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4 and all(same(one, plain) for one in loaded)
    assert len(graphs(cache)) == 2 == len(list(cache.iterdir()))


def test_the_oldest_make_room(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_cache, "_KEPT", 2)
    load(model, cache_dir=cache, threads=1)
    old = graphs(cache)
    for path in old:
        os.utime(path, ns=(1, 1))
    load(model, cache_dir=cache, threads=2)
    assert len(graphs(cache)) == 2 and not set(old) & set(graphs(cache))


def test_weights_in_memory_are_not_written_down(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_cache, "_LARGEST", 100)  # as if its small constant were large
    assert same(load(model, cache_dir=cache), load(model))
    assert not graphs(cache)


def test_an_older_engine_keeps_nothing(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might write all weights down."""
    monkeypatch.setattr(graph_cache.ov, "get_version", lambda: "2025.4.0-20398-8fdad55727d")
    assert same(load(model, cache_dir=cache), load(model))
    assert not cache.exists()


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("engine/network.py", True),
        ("engine/graph/ops.py", True),
        ("checkpoints/branches.py", True),
        ("vlm/speaker.py", False),
        ("cli/app.py", False),
        ("places.py", False),
    ],
)
def test_code_that_makes_graphs_makes_others_when_it_changes(
    model: Path, monkeypatch: pytest.MonkeyPatch, file: str, changes: bool
) -> None:
    touched, real = TOP / "galago" / file, Path.stat
    state = FileState.of(model / "model.safetensors")

    def stat(path: Path, **more: Any) -> os.stat_result:
        found = real(path, **more)
        later = {"st_mtime_ns": found.st_mtime_ns + 1}
        return os.stat_result(tuple(found), later) if path == touched else found

    before = graph_cache._key(cpu(), {}, state, "it")
    monkeypatch.setattr(Path, "stat", stat)
    assert (graph_cache._key(cpu(), {}, state, "it") != before) == changes


# -- whole models ----------------------------------------------------------------------------------


class Builds:
    """Counts how often a network is built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for network in (fastvit, qwen2):
            monkeypatch.setattr(network, "build", self._counted(network.build))

    def _counted(self, build: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            self.count += 1
            return build(*args, **options)

        return counted


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(monkeypatch)


def equal(a: Sessions, b: Sessions) -> bool:
    pairs = zip(answer(a), answer(b), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_same_answers_to_the_bit(
    converted: Callable[[str], Path], cache: Path, builds: Builds, precision: str
) -> None:
    folder = converted(precision)
    plain = load_sessions(folder)
    builds.count = 0
    assert equal(load_sessions(folder, cache_dir=cache), plain)
    assert builds.count == 2 == len(graphs(cache))
    assert equal(load_sessions(folder, cache_dir=cache), plain)
    assert builds.count == 2


def test_weights_are_left_out(converted: Callable[[str], Path], cache: Path) -> None:
    model = converted("int8")
    load_sessions(model, cache_dir=cache)
    kept = b"".join(path.read_bytes() for path in graphs(cache))
    tensors = SafetensorsFile(model / "model.safetensors").tensors
    large = [t for name, t in tensors.items() if name.endswith("proj.weight") and t.dtype == "I8"]
    assert len(large) > 6 and not any(t.read().tobytes()[:512] in kept for t in large)


def test_loading_a_model_keeps_its_graphs(
    ready: Path,
    clip_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    builds: Builds,
) -> None:
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "galago"))
    FastVLM.load(ready)
    MobileCLIP.load(clip_folder).embed_texts(["a dog"])
    assert len(graphs(tmp_path / "galago" / "graphs")) == 3
    FastVLM.load(ready)
    assert builds.count == 2
