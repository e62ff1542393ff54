"""--device and --vision-device at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galago.cli import doctor
from galago.engine.device import Devices, find
from galago.vlm import loading
from tests.helpers.commandline import run
from tests.helpers.devices import FakeCore

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "words",
    [
        ("describe", "{picture}", "-m", "{ready}", "--device", "GPU"),
        ("describe", "{picture}", "-m", "{ready}", "--vision-device", "GPU.3"),
        ("classify", "{picture}", "--labels", "a,b", "--device", "GPU"),
        ("doctor", "--device", "GPU"),
        ("bench", "--device", "GPU", "--list"),
        ("index", "{folder}", "--device", "GPU"),
    ],
)
def test_a_device_that_is_not_here_is_one_line(
    capsys: Capture, ready: Path, picture: Path, words: tuple[str, ...]
) -> None:
    places = {"picture": picture, "ready": ready, "folder": picture.parent}
    found = run(capsys, *(word.format(**places) for word in words))
    assert found.code == 2 and found.out == ""
    line = found.err.strip().splitlines()[-1]
    assert "isn't here: use CPU or AUTO" in line and "intel-opencl-icd" in line


def test_the_engines_own_auto_answers_as_the_cpu_does(
    capsys: Capture, ready: Path, picture: Path
) -> None:
    words = ("describe", str(picture), "-m", str(ready), "--max-tokens", "4", "--json")
    plain = run(capsys, *words)
    found = run(capsys, *words, "--device", "AUTO:CPU")
    assert found.code == 0 and "agrees with the CPU" in found.err
    assert json.loads(found.out)["text"] == json.loads(plain.out)["text"]
    assert "agrees" not in run(capsys, *words, "--device", "AUTO:CPU").err  # it is known by now


def test_the_bench_measures_a_device_by_its_name(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = FakeCore("GPU")
    monkeypatch.setattr("galago.engine.device.ov.Core", lambda: core)
    found = run(capsys, "bench", "--device", "AUTO", "--list")
    assert found.code == 2 and "name the device" in found.err
    assert run(capsys, "bench", "--device", "GPU", "--list", "first/nano").code == 0


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    core = FakeCore("GPU")

    def found(one: str | None, other: str | None = None, _: object = None) -> Devices:
        return find(one, other, core)

    monkeypatch.setattr(loading, "find", found)
    monkeypatch.setattr("galago.engine.device.find", found)  # who imports it late
    return core


def test_a_device_that_dies_in_an_answer_is_told_and_the_answer_is_whole(
    capsys: Capture, ready: Path, picture: Path, pretended: FakeCore
) -> None:
    words = ("describe", str(picture), "-m", str(ready), "--max-tokens", "6", "--device", "GPU")
    plain = run(capsys, *words[:-2])
    assert "agrees with the CPU" in run(capsys, *words).err
    pretended.runs = 3  # one picture, a prompt and a token
    found = run(capsys, *words)
    assert found.code == 0 and found.out == plain.out
    assert "GPU (Pretended Graphics) failed" in found.err
    assert "language goes on with the CPU" in found.err


@pytest.mark.model
def test_the_doctor_compares_a_device(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, pretended: FakeCore
) -> None:
    monkeypatch.setattr(doctor, "_self_test", lambda: {"passed": True})  # is of the CPU
    found = run(capsys, "doctor", "--device", "GPU", "--json")
    report = json.loads(found.out)
    assert found.code == 0 and report["compared"]["passed"] is True
    assert "vision on GPU (Pretended Graphics) agrees" in report["compared"]["fastvlm-nano"]
    assert "text tower on GPU (Pretended Graphics) agrees" in report["compared"]["mobileclip2-nano"]
    pretended.refuses = True
    found = run(capsys, "doctor", "--device", "GPU")
    assert found.code == 1 and "a device was refused" in found.err
    assert "vision can't run on GPU (Pretended Graphics)" in found.out
