"""MobileCLIP's towers on devices that aren't here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.clip import towers
from galago.clip.mobileclip import MobileCLIP
from galago.engine.device import find
from galago.errors import OptionError
from galago.progress import Stage
from tests.helpers.devices import FakeCore

WORDS = ["a dog", "compound interest"]


@pytest.fixture
def load(clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small model on a device of a given engine, and the lines that were told."""

    def made(core: FakeCore, device: str) -> tuple[MobileCLIP, list[str]]:
        monkeypatch.setattr(towers, "devices_of", lambda name: find(name, None, core))
        monkeypatch.setattr("galago.clip.mobileclip.devices_of", towers.devices_of)
        told: list[str] = []

        def hear(stage: Stage, share: float) -> None:
            if stage.lasting:
                told.append(stage)

        clip = MobileCLIP.load(clip_folder, precision="fp32", device=device, progress=hear)
        return clip, told

    return made


def rows(clip: MobileCLIP) -> tuple[np.ndarray, np.ndarray]:
    side = clip.spec.image.side
    pixels = np.random.default_rng(0).random((3, 3, side, side), dtype=np.float32)
    return clip.embed_pixels(pixels), clip.embed_texts(WORDS)


@pytest.mark.parametrize("device", ["GPU", "NPU"])
def test_vectors_are_the_cpus(clip_folder: Path, load: Any, device: str) -> None:
    plain = rows(MobileCLIP.load(clip_folder, precision="fp32"))
    core = FakeCore(device)
    clip, told = load(core, device)
    assert core.compiled == [] and told == []  # nothing before it is needed
    for one, other in zip(rows(clip), plain, strict=True):
        assert np.allclose(one, other, atol=1e-4)
    assert core.compiled.count(device) == (2 if device == "GPU" else 1)
    assert f"image tower on {device}" in told[0] and "agrees with the CPU: cosine 1.0000" in told[0]
    assert len(clip.devices) == 2


def test_a_device_that_strays_or_dies_leaves_it_to_the_cpu(clip_folder: Path, load: Any) -> None:
    plain = rows(MobileCLIP.load(clip_folder, precision="fp32"))
    stray, dead = FakeCore("GPU", stray=0.5), FakeCore("GPU", runs=0, driver="another")
    for core, word in ((stray, "strays"), (dead, "-5 CL")):
        clip, told = load(core, "GPU")
        for one, other in zip(rows(clip), plain, strict=True):
            assert np.allclose(one, other, atol=1e-4)
        assert len(told) == 2 and all(word in line for line in told)


def test_a_device_that_is_not_here_is_told_at_once(clip_folder: Path) -> None:
    with pytest.raises(OptionError, match="NPU isn't here: use CPU"):
        MobileCLIP.load("nowhere/at-all", device="NPU")
    assert MobileCLIP.load(clip_folder, device="CPU").devices == ()
