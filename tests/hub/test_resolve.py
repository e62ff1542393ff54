"""What a name means, and the copy of it on this machine; asked of nobody."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import galago
from galago import catalog
from galago.convert import store
from galago.errors import OfflineError, StorageError, UnknownModelError
from galago.hub.resolve import Wanted, is_offline, local, resolve, understand
from tests.helpers.checkpoints import tiny_fast_vlm
from tests.helpers.hub_server import no_network

NAME = "apple/FastVLM-0.5B"


# -- understanding ---------------------------------------------------------------------------------


def test_a_name_is_understood_once(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = catalog.lookup(NAME)
    found = understand("fastvlm-0.5b")
    assert found == Wanted("fastvlm-0.5b", row, None, NAME)
    assert found.name == NAME and found.layout == row.layout and understand(found) is found
    nano = understand("nano")
    assert nano.row is not None and nano.row.embedded and nano.repository is None
    folder = understand(str(tiny))
    assert folder == Wanted(str(tiny), folder=tiny) and folder.name == str(tiny)
    assert understand(tiny) == folder
    assert understand("somebody/model") == Wanted("somebody/model", repository="somebody/model")
    for page in ("https://huggingface.co/", "http://www.hf.co/"):
        for end in ("", "/", "/tree/main"):
            assert understand(f"{page}{NAME}{end}") == Wanted(NAME, row, None, NAME)
            assert understand(f"{page}a/b{end}") == Wanted("a/b", repository="a/b")
    for other in ("https://huggingface.co/a/b/tree/old", "https://elsewhere.co/a/b"):
        assert understand(other).repository is None
    for nothing in ("zzz", "a/b/c", "./nowhere", str(tmp_path / "none")):
        assert understand(nothing) == Wanted(nothing)


def test_a_row_comes_before_a_folder_and_a_folder_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (NAME, "somebody/model"):
        (tmp_path / name).mkdir(parents=True)
    by_row = understand(NAME)
    assert by_row.row is not None and by_row.folder is None
    by_path = understand(Path(NAME))
    assert by_path.row is None and by_path.folder == Path(NAME)
    here = understand("somebody/model")
    assert here.folder == Path("somebody/model") and here.repository is None


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
    snapshot = clean_world / "hf/hub/models--KamilaMila--FastVLM-7B/snapshots/abc"
    tiny_fast_vlm(snapshot, shards=2)
    assert local("KamilaMila/FastVLM-7B") is not None
    next(snapshot.glob("*00002*")).unlink()
    assert local("KamilaMila/FastVLM-7B") is None


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
