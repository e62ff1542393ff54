"""Finding, fetching and keeping models, against a hub on the loopback."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import galago
from galago import catalog
from galago.convert import store
from galago.errors import (
    CheckpointError,
    HubError,
    OfflineError,
    SelfCheckError,
    StorageError,
    UnknownModelError,
)
from galago.hub.resolve import is_offline, local, resolve
from galago.places import cache_dir
from tests.commandline import run, spawn, start
from tests.hub_server import Hub, connect

Capture = pytest.CaptureFixture[str]
NAME = "apple/FastVLM-0.5B"
Stages = list[tuple[str, float]]


@pytest.fixture
def source(tiny: Path, tmp_path: Path) -> Path:
    """A repository as published: weights and texts, and things that must stay there."""
    folder = tmp_path / "repository"
    shutil.copytree(tiny, folder)
    (folder / "llava_qwen.py").write_text("raise SystemExit('never run')")
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    (folder / "LICENSE").write_text("research only")
    return folder


@pytest.fixture
def online(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves it, and a client that may ask it."""
    with Hub(NAME, source).serving() as served:
        connect(served.url, monkeypatch)
        yield served


def no_network(*_: object, **__: object) -> None:
    raise AssertionError("the hub was contacted")


# -- finding ---------------------------------------------------------------------------------------


def test_a_folder_is_found_and_identified_by_content(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    first = resolve(folder)
    assert first.folder == folder and first.row is None and first.name == "copy"
    assert resolve(str(folder)) == first
    os.utime(folder / "model.safetensors", (1, 1))  # trained on: same size, another time
    assert resolve(folder).digest != first.digest


def test_the_embedded_model_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.hub.resolve.fetch", no_network)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    found = resolve("fastvlm-nano", update=True)
    assert found.folder == catalog.lookup("fastvlm-nano").folder
    prepared = store.prepare("nano", update=True)
    assert prepared.embedded and prepared.folder == found.folder


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_offline_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert is_offline() and not is_offline(False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert not is_offline() and is_offline(True)


def test_offline_contacts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.hub.resolve.fetch", no_network)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(OfflineError, match="galago pull apple/FastVLM-0.5B"):
        resolve("FastVLM-0.5B", offline=True)
    with pytest.raises(OfflineError, match="did you mean apple/FastVLM-0.5B"):
        resolve("aple/FastVLM-0.5B", offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError):
        resolve("somebody/some-model")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fastvlm-nanoo", "did you mean fastvlm-nano?"),
        ("./nowhere", "no folder ./nowhere"),
        ("/no/such/place", "no folder"),
        ("a/b/c", "no folder"),
        ("zzz", "galago models"),
        (__file__, "is a file"),
    ],
)
def test_unknown_names(name: str, said: str) -> None:
    with pytest.raises(UnknownModelError, match=said):
        resolve(name)


def test_a_copy_in_the_hub_clients_cache_is_used(tiny: Path, clean_world: Path) -> None:
    snapshot = clean_world / "hf/hub/models--apple--FastVLM-0.5B/snapshots/abc123"
    shutil.copytree(tiny, snapshot)
    found = resolve("FastVLM-0.5B", offline=True)
    assert found.folder == snapshot and found.identity["revision"] == "abc123"
    (snapshot / "config.json").unlink()
    with pytest.raises(OfflineError):
        resolve("FastVLM-0.5B", offline=True)


def test_a_copy_with_a_missing_shard_is_not_whole(tmp_path: Path, clean_world: Path) -> None:
    from tests.checkpoints import tiny_fast_vlm

    snapshot = clean_world / "hf/hub/models--KamilaMila--FastVLM-7B/snapshots/abc"
    tiny_fast_vlm(snapshot, shards=2)
    assert local("KamilaMila/FastVLM-7B") is not None
    next(snapshot.glob("*00002*")).unlink()
    assert local("KamilaMila/FastVLM-7B") is None


# -- fetching --------------------------------------------------------------------------------------


def test_fetch_takes_weights_and_texts_only(online: Hub) -> None:
    stages: Stages = []
    found = resolve("fastvlm-0.5b", progress=lambda s, f: stages.append((s, f)))
    names = {path.name for path in found.folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "LICENSE"}
    assert found.name == NAME and found.identity["revision"] == online.sha
    licences = [s for s, _ in stages if "apple-amlr" in s and "research" in s]
    assert licences, "the licence is shown when weights are fetched"
    shares = [f for s, f in stages if s.startswith("fetching")]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_what_is_here_is_used_without_asking(online: Hub) -> None:
    first = resolve(NAME)
    asked = len(online.asked)
    assert resolve(NAME) == first and len(online.asked) == asked
    assert resolve(NAME, update=True) == first and len(online.fetched) == 4


def test_an_update_fetches_and_replaces(online: Hub, source: Path) -> None:
    old = resolve(NAME)
    (source / "generation_config.json").write_text("{}")
    assert resolve(NAME) == old
    new = resolve(NAME, update=True)
    assert new.digest != old.digest and not old.folder.exists()


def test_a_broken_download_goes_on_where_it_stopped(online: Hub) -> None:
    size = (online.folder / "model.safetensors").stat().st_size
    online.break_after = [150_000, *[0] * 6]  # one piece, then nothing in all of its retries
    with pytest.raises(HubError, match="goes on where it stopped"):
        resolve(NAME)
    assert local(NAME) is None, "half a model is no model"
    online.break_after = []
    found = resolve(NAME)
    assert (found.folder / "model.safetensors").stat().st_size == size
    offsets = [int(f.split("@")[1]) for f in online.fetched if f.startswith("model.safetensors")]
    assert offsets[0] == 0 and offsets[-1] > 0, "the second try asks for the rest only"
    assert not list(found.folder.glob("*.part"))


def test_a_damaged_download_is_refused(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.hub.fetch._sha256", lambda path: "0" * 64)
    with pytest.raises(HubError, match="arrived damaged"):
        resolve(NAME)
    assert local(NAME) is None


def test_unknown_on_the_hub(online: Hub) -> None:
    with pytest.raises(UnknownModelError, match="did you mean apple/FastVLM-0.5B"):
        resolve("aple/FastVLM-0.5B")


def test_a_repository_without_weights(online: Hub, source: Path) -> None:
    (source / "model.safetensors").unlink()
    with pytest.raises(HubError, match="no safetensors"):
        resolve(NAME)


def test_no_room_is_said_before_fetching(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(StorageError, match="make room"):
        resolve(NAME)
    assert online.fetched == []


def test_no_network(capsys: Capture, picture: Path) -> None:
    dead = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    result = spawn("pull", NAME, **dead)
    assert result.code == 2 and "check the network" in result.line
    result = spawn("describe", picture, "-m", NAME, **dead)
    assert result.code == 2 and result.out == "" and "check the network" in result.line


def test_an_update_without_network_uses_what_is_here(online: Hub) -> None:
    here = resolve(NAME)
    online.repo = "gone"
    stages: Stages = []
    with pytest.raises(UnknownModelError):
        resolve(NAME, update=True)
    online.repo, online.broken = NAME, True
    assert resolve(NAME, update=True, progress=lambda s, f: stages.append((s, f))) == here
    assert any("nothing newer (fetching apple/FastVLM-0.5B failed" in stage for stage, _ in stages)


def test_an_update_says_why_there_is_none(online: Hub) -> None:
    here = resolve(NAME)
    online.gated = True
    stages: Stages = []
    assert resolve(NAME, update=True, progress=lambda s, f: stages.append((s, f))) == here
    assert any("asks for its terms to be accepted" in stage for stage, _ in stages)
    shutil.rmtree(here.folder)
    with pytest.raises(HubError, match="hf auth login"):
        resolve(NAME)


def test_a_current_copy_of_the_hub_client_is_not_fetched_again(
    online: Hub, source: Path, clean_world: Path
) -> None:
    snapshot = clean_world / f"hf/hub/models--apple--FastVLM-0.5B/snapshots/{online.sha}"
    shutil.copytree(source, snapshot)
    assert resolve(NAME, update=True).folder == snapshot and online.fetched == []


# -- converting and keeping ------------------------------------------------------------------------


def test_pull_converts_once(capsys: Capture, online: Hub, clean_world: Path) -> None:
    first = run(capsys, "pull", NAME, "--precision", "int8")
    assert first.code == 0 and "apple-amlr" in first.err and "self-check passed" in first.err
    folder = Path(first.out.strip())
    assert folder.is_relative_to(clean_world) and "int8" in folder.name
    stamp = (folder / "galago.json").stat().st_mtime_ns
    again = run(capsys, "pull", NAME, "--precision", "int8")
    assert first.err.count("self-check") == again.err.count("self-check") == 1
    assert again.out == first.out and (folder / "galago.json").stat().st_mtime_ns == stamp
    assert "int8" in run(capsys, "models").out
    forced = run(capsys, "pull", NAME, "--precision", "int8", "--force")
    assert forced.out == first.out and (folder / "galago.json").stat().st_mtime_ns != stamp


def test_describe_shows_the_figures_of_a_conversion_it_made(
    capsys: Capture, tiny: Path, picture: Path
) -> None:
    first = run(capsys, "describe", picture, "-m", tiny, "--max-tokens", "1")
    assert first.err.count("self-check passed") == 1
    assert run(capsys, "describe", picture, "-m", tiny, "--max-tokens", "1").err == ""


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
    from galago.checkpoints.tensors import LazyTensor

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
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from galago.convert import selfcheck

    strict = selfcheck.Bounds(cosine_mean=2.0, cosine_min=2.0, top1=2.0, kl=-1.0)
    monkeypatch.setitem(selfcheck.BOUNDS, "fp32", strict)
    with pytest.raises(SelfCheckError, match="--force"):
        store.prepare(tiny, precision="fp32")
    assert store.kept() == [] and run(capsys, "pull", tiny, "--precision", "fp32").code == 2
    forced = run(capsys, "pull", tiny, "--precision", "fp32", "--force")
    assert forced.code == 0 and "FAILED" in forced.err


def test_two_pulls_at_once(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    pulls = [start("pull", folder) for _ in range(2)]
    ended = [pull.communicate(timeout=120) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0], ended
    assert ended[0][0] == ended[1][0]
    assert sum("converting" in err for _, err in ended) == 1, "one works, the other waits"
    assert len(store.kept("model")) == 1


def test_a_second_process_says_that_it_waits(tiny: Path) -> None:
    from filelock import FileLock

    lock = cache_dir() / "locks" / "tiny.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        process = start("pull", tiny)
        assert process.stderr is not None
        assert "waiting for another galago" in process.stderr.readline()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and out.strip()


def test_a_damaged_checkpoint_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError):
        store.prepare(folder)
    assert not list(cache_dir().glob("converted/*"))


@pytest.mark.skipif(sys.platform == "win32", reason="homes of POSIX")
def test_without_a_home_the_embedded_models_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "GALAGO_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    galago.FastVLM.load("fastvlm-nano")
    with pytest.raises(StorageError, match="set HOME"):
        local(NAME)
