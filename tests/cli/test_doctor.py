"""`galago doctor`: what a report of a fault needs, and nothing about the person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galago.cli import doctor
from galago.version import __version__
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.model


def test_everything_is_told_and_the_models_work(capsys: Capture, clean_world: Path) -> None:
    found = run(capsys, "doctor", "--json")
    report = json.loads(found.out)
    assert found.code == 0 and report["self_test"]["passed"] is True
    assert report["versions"]["galago"] == __version__ and report["machine"]["cores"] >= 1
    assert report["models"]["for questions"] == "fastvlm-nano (embedded)"
    assert str(clean_world) not in found.out and "~" in report["places"]["cache"]


def test_a_model_that_computes_wrongly_is_told(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_cosine", lambda *_: 0.5)
    found = run(capsys, "doctor")
    assert found.code == 1 and "0.5000 to those in full precision" in found.out
    assert "self-test failed" in found.err
