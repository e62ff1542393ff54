"""What lies in the cache, and its removal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from galago.convert import cached, store
from galago.convert.cached import Thing, remove, things
from galago.errors import StorageError
from galago.hub.fetched import only_one
from galago.hub.resolve import Wanted
from galago.progress import silent
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions
from tests.helpers.kept import fill_cache
from tests.helpers.running import unchecked

SHORT = SamplingOptions(max_tokens=4)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of this test alone: what is compiled elsewhere is not to be removed."""
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def full(cache: Path, tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    fill_cache(cache, tmp_path / "mine")
    return cache


def of(what: str, model: str | None = None) -> Thing:
    (found,) = (one for one in things() if one.what == what and model in (None, one.model))
    return found


def test_nothing_is_there_yet(cache: Path) -> None:
    assert things() == [] and not cache.exists()


def test_every_kind_is_told_and_what_is_made_again(full: Path) -> None:
    told = {(one.what, one.model, one.place.name): one.remade for one in things()}
    assert told == {
        ("converted", "mine", "mine-0-int8-f1"): True,
        ("converted", "apple/FastVLM-1.5B", "apple--FastVLM-1.5B-0-int8-f1"): False,
        ("converted", None, "damaged-0-int8-f1"): True,
        ("converted", None, ".old-0.part"): True,
        ("fetched", "apple/FastVLM-0.5B", "apple--FastVLM-0.5B"): False,
        ("graphs", None, "graphs"): True,
        ("phrases", None, "phrases"): True,
        ("bench", None, "bench"): False,
    }
    assert of("phrases").size == 1000 and "not whole" in of("fetched").about


def test_a_conversion_whose_source_goes_is_no_longer_made_again(full: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").rmdir()
    assert not of("converted", "mine").remade


def test_all_that_is_told_can_be_removed(full: Path) -> None:
    for thing in things():
        remove(thing)
    assert things() == []
    left = {str(path.relative_to(full)) for path in full.rglob("*") if path.is_file()}
    locks = {path for path in left if path.startswith("locks/")}
    assert left - locks == {"converted/.young-0.part/a", "graphs/.b.graph.0.part"}


def test_what_is_being_prepared_stays(full: Path) -> None:
    with (
        only_one(Wanted("mine"), silent),
        pytest.raises(StorageError, match="another galago is preparing mine"),
    ):
        remove(of("converted", "mine"))
    assert (full / "converted" / "mine-0-int8-f1" / "galago.json").is_file()


def test_links_lead_to_nothing_that_is_removed(full: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "weights").write_bytes(bytes(5000))
    (full / "graphs" / "link.graph").symlink_to(theirs / "weights")
    (full / "sources" / "timm--other").symlink_to(theirs)
    assert of("graphs").size == 1000 and of("fetched", "timm/other").size == 0
    for thing in things():
        remove(thing)
    assert (theirs / "weights").stat().st_size == 5000
    assert not (full / "sources" / "timm--other").is_symlink()


def test_what_the_disk_refuses_is_told(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, ignore_errors: bool = False, **more: object) -> None:
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", str(path / "language.safetensors"))

    monkeypatch.setattr("galago.disk.shutil.rmtree", refuse)
    with pytest.raises(StorageError, match="language.safetensors can't be removed: Permission"):
        remove(of("converted", "mine"))
    monkeypatch.undo()


def test_a_model_in_use_goes_on(
    tiny: Path, picture: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked(monkeypatch)
    vlm = FastVLM.load(store.prepare(tiny, precision="fp32").folder)
    before = vlm.ask(vlm.encode(picture), "What?", SHORT)
    side = vlm.spec.image.side
    for thing in things():
        remove(thing)
    assert not list((cache / "converted").iterdir())
    assert vlm.ask(vlm.encode(picture), "What?", SHORT) == before
    # At another side a graph is built anew, of weights whose file has no name any more.
    assert len(vlm.encode(picture, resolution=side + 64).features) > 0


def test_models_of_the_hubs_own_client_are_told(
    clip_folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / "models--timm--MobileCLIP2-S0-OpenCLIP"
    shutil.copytree(clip_folder, place / "snapshots" / "1")
    (found,) = cached.elsewhere()
    assert found.place == place and found.size > 0 and not found.remade
    assert things() == []
