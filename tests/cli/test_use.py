"""`galago use`, and the model that verbs take when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.convert import choice as converted
from galago.hub.choice import Candidate
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GALAGO_CONFIG", str(tmp_path / "own" / "config.toml"))
    return tmp_path / "own" / "config.toml"


def test_use_keeps_a_model_and_lets_it_go(capsys: Capture, settings: Path, ready: Path) -> None:
    before = run(capsys, "use")
    assert "questions: fastvlm-nano (nothing better is here)" in before.err
    kept = run(capsys, "use", ready)
    assert kept.code == 0 and f"questions: {ready.resolve()} (as {settings} says)" in kept.err
    asked = run(capsys, "describe", "examples/note.png", "--max-tokens", "1", "--json")
    assert asked.code == 0 and f"using {ready.resolve()}" in asked.err
    assert ready.name in asked.out
    back = run(capsys, "use", "--best")
    assert "nothing better is here" in back.err and not settings.read_text().strip()


def test_a_script_is_pinned(
    capsys: Capture, settings: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAGO_MODEL", str(ready))
    asked = run(capsys, "describe", "examples/note.png", "--max-tokens", "1", "--json")
    assert f"using {ready}, as the environment says" in asked.err
    named = run(capsys, "describe", "examples/note.png", "--max-tokens", "1", "-m", "nano")
    assert "using" not in named.err


def test_the_best_here_is_used_and_marked(
    capsys: Capture, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [Candidate("apple/FastVLM-0.5B", 1 << 29), Candidate("apple/FastVLM-1.5B", 1 << 30)]
    monkeypatch.setattr(converted, "converted", lambda precision="auto": here)
    assert "questions: apple/FastVLM-1.5B (the best here)" in run(capsys, "use").err
    lines = run(capsys, "models").out.splitlines()
    marked = {line.split()[0] for line in lines if " * " in line}
    assert marked == {"apple/FastVLM-1.5B", "mobileclip2-nano"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("apple/FastVLM-0.5B",), "is not here yet: galago pull apple/FastVLM-0.5B"),
        (("FastVLM-0.6B",), "no model is called 'FastVLM-0.6B'; did you mean"),
        (("nano", "--best"), "not both"),
    ],
)
def test_what_cannot_be_used(
    capsys: Capture, settings: Path, arguments: tuple[str, ...], told: str
) -> None:
    refused = run(capsys, "use", *arguments)
    assert refused.code == 2 and told in refused.line and not settings.exists()


def test_settings_that_cannot_be_written(capsys: Capture, settings: Path) -> None:
    settings.parent.write_text("a file where the folder should be")
    refused = run(capsys, "use", "nano")
    assert refused.code == 2 and "can't be written" in refused.line


def test_port_album_and_precision_come_from_the_settings(capsys: Capture, settings: Path) -> None:
    settings.parent.mkdir()
    settings.write_text('album = "odd/name"\nprecision = "int3"\n')
    assert "odd/name" in run(capsys, "album").line
    assert "int3" in run(capsys, "describe", "examples/note.png").line
    settings.write_text("port = 99999\n")
    assert "99999" in run(capsys, "serve").line
