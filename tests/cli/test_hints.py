"""What --resolution auto would gain: told once, where it would, to whom it is meant."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from galago.cli import hints
from galago.cli.options import Opening
from galago.engine import processor
from galago.places import cache_dir
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
AVX2 = "flags : fpu sse4_2 avx avx2 fma"


def vlm(side: int) -> Any:
    return SimpleNamespace(spec=SimpleNamespace(image=SimpleNamespace(side=side)), name="it")


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with AVX2 alone, and nothing told yet."""
    monkeypatch.setattr(processor, "instructions", lambda: AVX2)
    monkeypatch.setattr(hints, "_told", False)


@pytest.mark.parametrize("more", ["avx512f", "avx_vnni", "avx512_vnni", "amx_tile"])
def test_a_processor_with_more_needs_no_hint(monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    monkeypatch.setattr(processor, "instructions", lambda: f"{AVX2} {more}")
    assert not processor.is_lean() and hints.resolution_hint() is None
    for other in ("", "Features : asimd i8mm", "flags : sse4_2"):
        monkeypatch.setattr(processor, "instructions", lambda text=other: text)
        assert not processor.is_lean()


@pytest.mark.usefixtures("lean")
def test_it_is_told_once(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    hints.suggest_resolution(vlm(384))
    assert capsys.readouterr().err == ""
    hints.suggest_resolution(vlm(1024))
    told = capsys.readouterr()
    assert told.out == "" and "--resolution auto" in told.err and told.err.count("\n") == 1
    assert "1.8 s at 512 px" in told.err
    hints.suggest_resolution(vlm(1024))
    monkeypatch.setattr(hints, "_told", False)  # as in the next process
    hints.suggest_resolution(vlm(1024))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("lean")
def test_where_nothing_can_be_written_it_is_told_once_a_process(capsys: Capture) -> None:
    (cache_dir() / "told").write_text("in the way")
    for _ in range(2):
        hints.suggest_resolution(vlm(1024))
    assert capsys.readouterr().err.count("--resolution auto") == 1


@pytest.mark.usefixtures("lean")
@pytest.mark.parametrize(
    ("given", "told"),
    [({}, 1), ({"resolution": "512"}, 0), ({"resolution": "auto"}, 0), ({"device": "CPU"}, 0)],
)
def test_it_is_for_who_chose_nothing(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], told: int
) -> None:
    monkeypatch.setattr("galago.cli.options._staged", lambda *_, **__: vlm(1024))
    Opening(model="it", **given).load()
    found = capsys.readouterr()
    assert found.err.count("--resolution auto") == told and found.out == ""


@pytest.mark.model
@pytest.mark.usefixtures("lean")
def test_the_embedded_model_is_quick_enough(capsys: Capture, picture: Path) -> None:
    assert "--resolution" not in run(capsys, "describe", str(picture), "--max-tokens", "1").err
