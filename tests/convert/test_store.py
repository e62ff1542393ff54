"""Converted models that are kept: found again, made anew when they must be, never half."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from galago.checkpoints.tensors import LazyTensor
from galago.convert import store
from galago.errors import CheckpointError, OfflineError, SelfCheckError
from galago.hub.resolve import resolve
from galago.places import cache_dir
from tests.helpers.hub_server import Hub, no_network, online_hub, vlm_repository
from tests.helpers.running import unchecked

NAME = "apple/FastVLM-0.5B"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-check is tested elsewhere; here matters what becomes of what passed it."""
    unchecked(monkeypatch)


@pytest.fixture
def online(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves it, and a client that may ask it."""
    source = vlm_repository(tiny, tmp_path / "repository")
    with online_hub(NAME, source, monkeypatch) as served:
        yield served


def test_the_entry_names_its_source(tiny: Path) -> None:
    prepared = store.prepare(tiny)
    (entry,) = store.kept("tiny")
    manifest = json.loads((prepared.folder / "galago.json").read_text())
    assert entry.folder == prepared.folder and manifest["source"] == entry.identity
    assert entry.identity["files"]["config.json"][0] == (tiny / "config.json").stat().st_size
    assert prepared.self_check() and "passed" in str(prepared.self_check())


def test_a_changed_source_is_converted_again(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    old = store.prepare(folder).folder
    os.utime(folder / "model.safetensors", (1, 1))
    new = store.prepare(folder).folder
    assert new != old and not old.exists() and len(store.kept("model")) == 1


def test_folders_of_the_same_name_do_not_replace_each_other(tiny: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        shutil.copytree(tiny, tmp_path / place / "model")
        store.prepare(tmp_path / place / "model", precision="fp32")
    assert len(store.kept("model")) == 2


def test_a_changed_format_is_converted_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = store.prepare(tiny).folder
    manifest = json.loads((old / "galago.json").read_text())
    (old / "galago.json").write_text(json.dumps({**manifest, "format": 0}))
    stale = (old / "galago.json").read_text()
    new = store.prepare(tiny).folder
    assert new == old and (new / "galago.json").read_text() != stale


def test_a_converted_model_is_found_without_reading_its_source(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing two embedding tables reads a gigabyte: not at every start."""
    folder = store.prepare(tiny).folder
    monkeypatch.setattr(LazyTensor, "read", no_network)
    assert store.prepare(tiny).folder == folder


def test_a_removal_broken_off_leaves_no_half_model(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.prepare(tiny).folder

    def interrupted(path: Path, **_: object) -> None:
        if Path(path) == folder or (".old" in Path(path).name and Path(path).exists()):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("galago.disk.shutil.rmtree", interrupted)
        store.prepare(tiny, force=True)
    assert not folder.exists() and store.kept() == []
    assert store.prepare(tiny).folder == folder
    assert list(folder.parent.iterdir()) == [folder], "what was left is cleared away"


def test_precisions_are_kept_side_by_side(tiny: Path) -> None:
    folders = {store.prepare(tiny, precision=p).folder for p in ("fp32", "int8", "fp32")}
    assert len(folders) == 2 and len(store.kept("tiny")) == 2


def test_a_converted_model_outlives_its_source(online: Hub) -> None:
    folder = store.prepare(NAME, precision="fp32").folder
    shutil.rmtree(resolve(NAME).folder)
    again = store.prepare(NAME, offline=True)
    assert again.folder == folder and again.name == NAME
    with pytest.raises(OfflineError):
        store.prepare(NAME, offline=True, precision="int4")


def test_a_bad_conversion_is_refused_unless_forced(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked(monkeypatch, passed=False)
    with pytest.raises(SelfCheckError, match="--force"):
        store.prepare(tiny, precision="fp32")
    assert store.kept() == []
    forced = store.prepare(tiny, precision="fp32", force=True)
    assert "FAILED" in str(forced.self_check()) and len(store.kept()) == 1


def test_a_damaged_checkpoint_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError):
        store.prepare(folder)
    assert not list(cache_dir().glob("converted/*"))


def test_an_orphan_of_another_vision_is_not_taken(online: Hub) -> None:
    """int8 with vision in 8 bits passed for int8 by the beginning of its name."""
    folder = store.prepare(NAME, precision="fp32").folder
    manifest = json.loads((folder / "galago.json").read_text())
    manifest |= {"precision": {"vision": "int8", "language": "int8", "group": 128}}
    (folder / "galago.json").write_text(json.dumps(manifest | {"asked": "int8-int8"}))
    shutil.rmtree(resolve(NAME).folder)
    with pytest.raises(OfflineError):
        store.prepare(NAME, precision="int8", offline=True)
    for precision in ("int8-int8", "auto"):
        assert store.prepare(NAME, precision=precision, offline=True).folder == folder
    manifest |= {"precision": {"vision": "bf16", "language": "int8", "group": 128}}
    (folder / "galago.json").write_text(json.dumps(manifest | {"asked": "int8-int8"}))
    for precision in ("int8", "int8-int8"):  # 8-bit vision had strayed too far
        assert store.prepare(NAME, precision=precision, offline=True).folder == folder


@pytest.mark.parametrize("field", ["precision", "source", "self_check", "format"])
@pytest.mark.parametrize("value", [None, 7, "x", [], {"name": 7}, {"vision": [], "language": 1}])
def test_a_damaged_entry_is_no_entry(tiny: Path, field: str, value: object) -> None:
    folder = store.prepare(tiny).folder
    manifest = json.loads((folder / "galago.json").read_text())
    (folder / "galago.json").write_text(json.dumps(manifest | {field: value}))
    assert all(isinstance(entry.name, str) for entry in store.kept())
    again = store.prepare(tiny)
    assert again.folder == folder and "\n" not in str(again.self_check())
