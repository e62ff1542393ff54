"""Fetching from a hub on the loopback: what is taken, what goes on, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from galago.convert import store
from galago.errors import HubError, MisfitError, StorageError, UnknownModelError
from galago.hub.resolve import local, resolve
from tests.helpers.hub_server import Hub, online_hub, vlm_repository
from tests.helpers.running import unchecked

NAME = "apple/FastVLM-0.5B"
Stages = list[tuple[str, float]]


@pytest.fixture
def source(tiny: Path, tmp_path: Path) -> Path:
    """A repository as published: weights and texts, and things that must stay there."""
    return vlm_repository(tiny, tmp_path / "repository")


@pytest.fixture
def online(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves it, and a client that may ask it."""
    with online_hub(NAME, source, monkeypatch) as served:
        yield served


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
    monkeypatch.setattr("galago.hub.fetch.file_sha256", lambda path: "0" * 64)
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


def test_no_repository_passes_for_a_conversion_of_ours(
    online: Hub, ready: Path, clean_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its galago.json isn't fetched, and one that another client fetched isn't believed."""
    shutil.copy(ready / "galago.json", online.folder)
    found = resolve(NAME)
    assert not (found.folder / "galago.json").exists()
    theirs = clean_world / "hf/hub" / f"models--{NAME.replace('/', '--')}" / "snapshots" / "abc"
    shutil.copytree(online.folder, theirs)
    shutil.rmtree(found.folder)
    assert (resolve(NAME).folder / "galago.json").exists()
    unchecked(monkeypatch)
    prepared = store.prepare(NAME)
    assert prepared.fresh and prepared.folder != theirs


def test_what_is_of_another_kind_is_not_fetched(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with online_hub("somebody/model", source, monkeypatch) as served:
        with pytest.raises(MisfitError, match="answers questions"):
            resolve("somebody/model", kind="mobileclip")
        assert not served.fetched
        assert resolve("somebody/model", kind="fastvlm").kind == "fastvlm"
