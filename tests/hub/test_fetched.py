"""A model's files by its name: found, fetched once, and told when it is of another kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.clip.mobileclip import MobileCLIP
from galago.convert import store
from galago.errors import HubError, ModelError, OfflineError, OptionError
from galago.hub.resolve import local, resolve
from galago.places import cache_dir
from galago.progress import Stage
from tests.helpers.clips import clip_tensors, shrink_published
from tests.helpers.commandline import run
from tests.helpers.hub_server import Hub, clip_repository, online_hub
from tests.helpers.pickles import write_pt
from tests.helpers.running import unchecked

Capture = pytest.CaptureFixture[str]
NAME = "timm/MobileCLIP2-S0-OpenCLIP"


@pytest.fixture
def online(
    clip_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Hub]:
    """A hub with one repository: a MobileCLIP, and things that must stay there."""
    source = clip_repository(clip_folder, tmp_path / "repository")
    with online_hub(getattr(request, "param", NAME), source, monkeypatch) as served:
        yield served


# -- by name ---------------------------------------------------------------------------------------


def test_a_short_name_fetches_weights_and_configuration_only(
    online: Hub, clip_folder: Path
) -> None:
    stages: list[str] = []
    clip = MobileCLIP.load("mobileclip2-s0", progress=lambda stage, share: stages.append(stage))
    found = resolve(NAME)
    assert clip.name == NAME == found.name and found.kind == "mobileclip"
    assert {path.name for path in found.folder.iterdir()} == {CLIP_CONFIG, CLIP_WEIGHTS, "LICENSE"}
    assert any("apple-amlr" in stage and "research" in stage for stage in stages)
    asked = len(online.asked)
    again = MobileCLIP.load("MobileCLIP2-S0", offline=True)
    assert len(online.asked) == asked
    same = MobileCLIP.load(clip_folder).embed_texts(["a dog"])
    assert np.array_equal(again.embed_texts(["a dog"]), same)


def test_a_broken_download_goes_on_where_it_stopped(online: Hub) -> None:
    online.break_after = [150_000, *[0] * 6]
    with pytest.raises(HubError, match="goes on where it stopped"):
        MobileCLIP.load(NAME)
    assert local(NAME) is None
    online.break_after = []
    MobileCLIP.load(NAME)
    offsets = [int(f.split("@")[1]) for f in online.fetched if f.startswith(CLIP_WEIGHTS)]
    assert offsets[0] == 0 and offsets[-1] > 0


@pytest.mark.parametrize("online", ["somebody/my-clip"], indirect=True)
def test_any_repository_in_the_open_clip_layout(online: Hub) -> None:
    clip = MobileCLIP.load("somebody/my-clip")
    assert clip.name == "somebody/my-clip"
    assert not any(name.startswith("other.pt") for name in online.fetched)
    (online.folder / CLIP_CONFIG).unlink()
    shutil.rmtree(cache_dir())
    with pytest.raises(HubError, match="can't open it"):
        MobileCLIP.load("somebody/my-clip")
    assert not any(name.startswith("other.pt") for name in online.fetched)


@pytest.mark.parametrize("online", ["apple/MobileCLIP2-S0"], indirect=True)
def test_a_pickle_of_the_catalogue_is_fetched_alone(
    online: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = clip_tensors(shrink_published(monkeypatch))
    write_pt(online.folder / "mobileclip2_s0.pt", arrays)
    clip = MobileCLIP.load("apple/MobileCLIP2-S0")
    assert {name.split("@")[0] for name in online.fetched} == {"mobileclip2_s0.pt", "LICENSE"}
    assert clip.name == "apple/MobileCLIP2-S0" and clip.embed_texts(["a dog"]).shape == (1, 16)


def test_a_copy_in_the_hub_clients_cache_is_used(clip_folder: Path, clean_world: Path) -> None:
    cache = clean_world / "hf/hub"
    shutil.copytree(clip_folder, cache / "models--timm--MobileCLIP2-S0-OpenCLIP/snapshots/abc")
    assert MobileCLIP.load("MobileCLIP2-S0").name == NAME
    (cache / "models--timm--MobileCLIP2-S0-OpenCLIP/snapshots/abc" / CLIP_CONFIG).unlink()
    with pytest.raises(OfflineError, match=f"galago pull {NAME}"):
        MobileCLIP.load("MobileCLIP2-S0")


def test_options_are_looked_at_before_anything_is_fetched() -> None:
    with pytest.raises(OptionError, match="fp32, bf16, int8"):
        MobileCLIP.load("MobileCLIP2-S0", precision="int4")
    with pytest.raises(OptionError, match="threads"):
        MobileCLIP.load("MobileCLIP2-S0", threads=0)


def test_a_second_process_says_that_it_waits(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unchecked(monkeypatch)
    path = cache_dir() / "locks" / "tiny.lock"
    path.parent.mkdir(parents=True)
    lock, told = FileLock(path), []

    def hear(stage: Stage, share: float) -> None:
        told.append(stage)
        lock.release()  # as the other does when it is ready

    lock.acquire()
    prepared = store.prepare(tiny, progress=hear)
    assert prepared.fresh and "waiting for another galago" in told[0] and told[0].lasting


# -- kinds -----------------------------------------------------------------------------------------


def test_each_kind_of_model_where_it_belongs(
    clip_folder: Path, tiny: Path, capsys: Capture
) -> None:
    for other in ("fastvlm-nano", "FastVLM-7B", tiny):
        with pytest.raises(ModelError, match="answers questions about pictures"):
            MobileCLIP.load(other)
    for other in ("MobileCLIP2-S0", clip_folder):
        with pytest.raises(ModelError, match="finds and labels pictures"):
            store.prepare(other)
    for verb in ("describe", "chat"):
        shown = run(capsys, verb, "examples/note.png", "-m", "MobileCLIP2-S0")
        assert shown.code == 2 and "galago classify" in shown.line


@pytest.mark.parametrize("online", ["somebody/my-clip"], indirect=True)
def test_what_was_fetched_tells_its_kind(online: Hub) -> None:
    with pytest.raises(ModelError, match="finds and labels pictures"):
        store.prepare("somebody/my-clip")


def test_a_name_wins_over_a_folder(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(clip_folder, "MobileCLIP2-S0")
    with pytest.raises(OfflineError, match=r"write \./MobileCLIP2-S0 for the folder"):
        MobileCLIP.load("MobileCLIP2-S0")
    assert MobileCLIP.load("./MobileCLIP2-S0").name == "tiny-clip"
