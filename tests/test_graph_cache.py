"""Compiled graphs kept for the next start: same answers, never stale, done without if need be."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import FileState
from galago.checkpoints.vlm import open_checkpoint
from galago.clip.mobileclip import MobileCLIP
from galago.convert.load import load_sessions
from galago.convert.write import convert
from galago.engine import clip_sessions, graph_cache
from galago.engine.clip_sessions import TextTower
from galago.engine.vlm_sessions import Sessions, fastvit, qwen2
from galago.vlm.fastvlm import FastVLM
from tests.checkpoints import TINY_TEXT, tiny_llava
from tests.running import answer
from tests.test_mobileclip import published

# Wide enough for int4 groups of 128.
TEXT = replace(TINY_TEXT, hidden=128, intermediate=256)


def made(folder: Path, precision: str = "int8", seed: int = 0) -> Path:
    source = tiny_llava(folder / f"source{seed}", text=TEXT, seed=seed)
    convert(open_checkpoint(source), folder / "out", precision, force=True)
    return folder / "out"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("model"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "graphs"


def graphs(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.graph"))


def same(a: Sessions, b: Sessions) -> bool:
    pairs = zip(answer(a), answer(b), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)


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


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_same_answers_to_the_bit(
    tmp_path: Path, cache: Path, builds: Builds, precision: str
) -> None:
    folder = made(tmp_path, precision)
    plain = load_sessions(folder)
    builds.count = 0
    assert same(load_sessions(folder, cache_dir=cache), plain)
    assert builds.count == 2 == len(graphs(cache))
    assert same(load_sessions(folder, cache_dir=cache), plain)
    assert builds.count == 2


def test_weights_are_left_out(model: Path, cache: Path) -> None:
    load_sessions(model, cache_dir=cache)
    kept = b"".join(path.read_bytes() for path in graphs(cache))
    tensors = SafetensorsFile(model / "model.safetensors").tensors
    large = [t for name, t in tensors.items() if name.endswith("proj.weight") and t.dtype == "I8"]
    assert len(large) > 6 and not any(t.read().tobytes()[:512] in kept for t in large)


def test_nothing_is_kept_or_read_beside_the_model(model: Path, cache: Path) -> None:
    before = sorted(model.iterdir())
    load_sessions(model, cache_dir=cache)
    assert sorted(model.iterdir()) == before


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "bit", "swapped", "gone"])
def test_what_is_damaged_is_made_again(
    model: Path, cache: Path, builds: Builds, damage: str
) -> None:
    plain = load_sessions(model, cache_dir=cache)
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
    builds.count = 0
    assert same(load_sessions(model, cache_dir=cache), plain)
    assert builds.count == 1
    load_sessions(model, cache_dir=cache)
    assert builds.count == 1 and len(graphs(cache)) == 2


def test_what_the_engine_refuses_is_made_again(model: Path, cache: Path, builds: Builds) -> None:
    """Also a file that galago vouches for, as after a mistake of its own."""
    plain = load_sessions(model, cache_dir=cache)
    for path in graphs(cache):
        path.unlink()
    write = graph_cache._write

    def wrong(path: Path, key: bytes, blob: bytes) -> None:
        write(path, key, blob[:100])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_cache, "_write", wrong)
        load_sessions(model, cache_dir=cache)
    assert len(graphs(cache)) == 2
    builds.count = 0
    assert same(load_sessions(model, cache_dir=cache), plain) and builds.count == 2


def test_another_model_in_the_same_place(tmp_path: Path, cache: Path) -> None:
    first = load_sessions(made(tmp_path), cache_dir=cache)
    before = answer(first)
    del first
    folder = made(tmp_path, seed=1)
    plain = load_sessions(folder)
    assert same(load_sessions(folder, cache_dir=cache), plain)
    assert same(load_sessions(folder, cache_dir=cache), plain)
    assert not np.array_equal(answer(plain)[0], before[0])


def test_weights_changed_while_a_graph_is_made(model: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    export = graph_cache._tie

    def touched(*args: Any) -> int:
        os.utime(folder / "model.safetensors", ns=(1, 1))
        return export(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_cache, "_tie", touched)
        load_sessions(folder, cache_dir=cache)
    assert not graphs(cache)


def test_other_settings_are_other_graphs(model: Path, cache: Path, builds: Builds) -> None:
    load_sessions(model, cache_dir=cache, threads=1)
    load_sessions(model, cache_dir=cache, threads=2)
    assert builds.count == 4 == len(graphs(cache))


@pytest.mark.parametrize("part", ["instructions", "__version__"])
def test_another_processor_or_galago_makes_others(
    model: Path, cache: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    load_sessions(model, cache_dir=cache)
    changed: Any = "9.9" if part == "__version__" else lambda: "flags: none"
    monkeypatch.setattr(graph_cache, part, changed)
    load_sessions(model, cache_dir=cache)
    assert builds.count == 4 == len(graphs(cache))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_another_persons_graphs_are_not_read(
    model: Path, cache: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sessions(model, cache_dir=cache)
    fstat = os.fstat

    def theirs(handle: int) -> os.stat_result:
        state = list(fstat(handle))
        state[4] = os.getuid() + 1
        return os.stat_result(state)

    monkeypatch.setattr(graph_cache.os, "fstat", theirs)
    load_sessions(model, cache_dir=cache)
    assert builds.count == 4


def test_what_a_killed_process_left_goes(model: Path, cache: Path) -> None:
    cache.mkdir()
    old, fresh = cache / ".a.x.part", cache / ".b.y.part"
    for part in (old, fresh):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    load_sessions(model, cache_dir=cache)
    assert graphs(cache) and not old.exists() and fresh.exists()


def test_a_cache_that_cannot_be_written_is_done_without(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert same(load_sessions(model, cache_dir=tmp_path / "file"), load_sessions(model))
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
    plain = load_sessions(model)
    assert same(load_sessions(model, cache_dir=cache), plain)
    assert not list(cache.iterdir())


def test_two_at_once(model: Path, cache: Path) -> None:
    plain = load_sessions(model)
    loaded: list[Sessions] = []

    def load() -> None:
        loaded.append(load_sessions(model, cache_dir=cache))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4 and all(same(one, plain) for one in loaded)
    assert len(graphs(cache)) == 2 == len(list(cache.iterdir()))


def test_the_oldest_make_room(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_cache, "_KEPT", 2)
    load_sessions(model, cache_dir=cache, threads=1)
    old = graphs(cache)
    for path in old:
        os.utime(path, ns=(1, 1))
    load_sessions(model, cache_dir=cache, threads=2)
    assert len(graphs(cache)) == 2 and not set(old) & set(graphs(cache))


def test_weights_in_memory_are_not_written_down(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_cache, "_LARGEST", 100)  # as if its small constants were large
    assert same(load_sessions(model, cache_dir=cache), load_sessions(model))
    assert not graphs(cache)


def test_an_older_engine_keeps_nothing(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might write all weights down."""
    monkeypatch.setattr(graph_cache.ov, "get_version", lambda: "2025.4.0-20398-8fdad55727d")
    assert same(load_sessions(model, cache_dir=cache), load_sessions(model))
    assert not cache.exists()


def test_text_tower(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_clip_checkpoint(published(tmp_path))
    ids = np.zeros((2, checkpoint.spec.text.context), np.int64)
    ids[:, :3] = [[5, 6, checkpoint.spec.text.vocab - 1], [7, 8, checkpoint.spec.text.vocab - 1]]
    plain = TextTower(checkpoint, "fp32")(ids)
    assert np.array_equal(TextTower(checkpoint, "fp32", cache_dir=cache)(ids), plain)
    assert len(graphs(cache)) == 1

    def never(*_: Any) -> None:
        raise AssertionError("tensors were read")

    monkeypatch.setattr(clip_sessions, "in_precision", never)
    again = TextTower(checkpoint, "fp32", cache_dir=cache)
    assert np.array_equal(again(ids), plain) and np.array_equal(again(ids), plain)


def test_loading_a_model_keeps_its_graphs(
    model: Path, tmp_path: Path, clean_world: Path, builds: Builds
) -> None:
    FastVLM.load(model)
    MobileCLIP.load(published(tmp_path)).embed_texts(["a dog"])
    assert len(graphs(clean_world / "galago" / "graphs")) == 3
    FastVLM.load(model)
    assert builds.count == 2


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
