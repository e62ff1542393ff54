"""Devices that agree, stray, refuse or aren't ready: what answers, what is told, what is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.convert.devices import Placed, place
from galago.convert.load import open_model
from galago.engine.device import find
from galago.errors import OptionError
from galago.places import agreements_dir
from galago.progress import Stage
from galago.vlm.loading import Where
from tests.helpers.devices import FakeCore


class Heard(list[str]):
    """Lines that must stay to be read."""

    def __call__(self, stage: Stage, share: float) -> None:
        if stage.lasting:
            self.append(stage)


@pytest.fixture
def placed(ready: Path) -> Callable[..., tuple[Placed, Heard]]:
    """A small model on the devices of an engine."""

    def made(core: Any, device: str, vision: str | None = None, **more: Any) -> Any:
        heard = Heard()
        devices = find(device, vision, core)
        folder = agreements_dir()
        return place(open_model(ready), ready, devices, heard, folder=folder, **more), heard

    return made


def answer(found: Placed, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """A picture's features, and the logits behind it."""
    pixels = np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32)
    features = found.vision.encode(pixels)[0]
    cache = found.language.new_cache()
    return features, cache.append(np.concatenate([features, found.language.embed([1, 7, 9])]))


def close(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    return all(np.allclose(a, b, atol=1e-4) for a, b in zip(one, other, strict=True))


def test_a_device_that_agrees_is_compared_once_and_used(placed: Any) -> None:
    plain, _ = placed(None, "CPU")
    core = FakeCore("GPU")
    first, heard = placed(core, "GPU")
    assert close(answer(first), answer(plain))
    assert [line.split(":")[0] for line in heard] == [
        "vision on GPU (Pretended Graphics) agrees with the CPU",
        "language on GPU (Pretended Graphics) agrees with the CPU",
    ]
    assert "cosine 1.0000" in heard[0] and "KL 0.0000" in heard[1]
    assert not any(story.refused for story in first.stories())

    later = FakeCore("GPU")
    again, heard = placed(later, "GPU")
    assert close(answer(again), answer(plain))
    assert heard == [] and "CPU" not in later.compiled
    assert "cosine 1.0000" in again.stories()[0].line  # as it was found before

    _, heard = placed(FakeCore("GPU", driver="26.1"), "GPU")
    assert len(heard) == 2  # another driver is another device
    _, heard = placed(FakeCore("GPU"), "GPU", again=True)
    assert len(heard) == 2


def test_a_device_that_strays_is_refused_with_its_figure(placed: Any) -> None:
    plain, _ = placed(None, "CPU")
    found, heard = placed(FakeCore("GPU", stray=0.5), "GPU")
    assert close(answer(found), answer(plain))
    assert len(heard) == 2 and all(line.endswith("the CPU is used") for line in heard)
    assert "vision on GPU (Pretended Graphics) strays from the CPU (cosine 0." in heard[0]
    assert all(story.refused for story in found.stories())

    later = FakeCore("GPU")
    _, again = placed(later, "GPU")
    assert again == heard and "GPU" not in later.compiled  # told each time, compiled no more


def test_numbers_that_are_none_are_refused(placed: Any) -> None:
    found, heard = placed(FakeCore("GPU", nan=True), "GPU")
    assert all("strays" in line for line in heard) and len(heard) == 2
    assert np.isfinite(answer(found)[0]).all()


def test_what_a_device_cannot_compile_is_the_cpus(placed: Any) -> None:
    plain, _ = placed(None, "CPU")
    found, heard = placed(FakeCore("GPU", refuses=True), "GPU")
    assert close(answer(found), answer(plain))
    assert len(heard) == 2
    assert "vision can't run on GPU (Pretended Graphics) ([GPU] clBuildProgram failed)" in heard[0]
    _, heard = placed(FakeCore("GPU"), "GPU")
    assert all("agrees" in line for line in heard)  # that is tried again: it may be the memory


def test_a_device_that_dies_while_it_is_compared(placed: Any) -> None:
    found, heard = placed(FakeCore("GPU", runs=1), "GPU")
    assert len(heard) == 2 and all("CL_OUT_OF_RESOURCES" in line for line in heard)
    assert np.isfinite(answer(found)[1]).all()


def test_the_cpu_answers_until_the_device_is_ready(placed: Any) -> None:
    plain, _ = placed(None, "CPU")
    gate = threading.Event()
    core = FakeCore("GPU", gate=gate)
    found, heard = placed(core, "AUTO")
    try:
        assert close(answer(found), answer(plain))
        assert heard == [] and [story.line for story in found.stories()] == [
            "vision on CPU",
            "language on CPU",
        ]
    finally:
        gate.set()
        found.placer.wait()
    assert all("agrees with the CPU" in line for line in heard) and len(heard) == 2
    core.runs = 0  # from now on the device is asked
    assert close(answer(found), answer(plain))
    assert sum("failed" in line for line in heard) == 2


def test_an_npu_sees_one_side_and_does_not_speak(placed: Any) -> None:
    plain, _ = placed(None, "CPU")
    core = FakeCore("NPU")
    found, heard = placed(core, "NPU", side=320)
    assert heard[0] == "NPU runs vision only: the language runs on the CPU"
    assert "vision on NPU (Pretended Accelerator) agrees" in heard[1] and len(heard) == 2
    assert core.compiled.count("NPU") == 1
    assert close(answer(found, 320), answer(plain, 320))
    with pytest.raises(OptionError, match=r"320 x 320 pixels only, not of 256 x 256"):
        answer(found, 256)
    two = np.random.default_rng(1).random((2, 3, 320, 320), dtype=np.float32)
    assert np.allclose(found.vision.encode(two), plain.vision.encode(two), atol=1e-4)


def test_an_npu_has_no_side_to_choose_by_content() -> None:
    where = Where(vision_device="NPU", side="auto", core=FakeCore("NPU"))
    with pytest.raises(OptionError, match="sees pictures of one size"):
        where.devices()


@pytest.mark.parametrize("device", ["AUTO:CPU", "HETERO:CPU"])
def test_the_engines_own_joined_devices_say_the_same(placed: Any, device: str) -> None:
    """Not pretended: these are OpenVINO's, with the CPU behind them."""
    plain, _ = placed(None, "CPU")
    found, heard = placed(None, device)
    assert close(answer(found), answer(plain))
    assert all("agrees with the CPU" in line for line in heard) and len(heard) == 2
