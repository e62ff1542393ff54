"""Which model is meant when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago import catalog, memory
from galago.hub import choice
from galago.hub.choice import Candidate, Choice, choose, choose_clip

HERE = [Candidate("small", 10 << 20), Candidate("large", 8 << 30), Candidate("middle", 1 << 30)]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GALAGO_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def free(monkeypatch: pytest.MonkeyPatch, found: int | None) -> None:
    monkeypatch.setattr(memory, "available", lambda: found)


def test_the_largest_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 64 << 30)
    assert choose("fastvlm", lambda: HERE) == Choice("large", "best")
    assert choose("fastvlm", lambda: HERE, quickest=True) == Choice("small", "best")
    free(monkeypatch, 4 << 30)
    found = choose("fastvlm", lambda: HERE)
    assert (found.name, found.skipped) == ("middle", ("large",))
    assert "large would not fit the free memory" in (found.sentence() or "")
    free(monkeypatch, None)
    assert choose("fastvlm", lambda: HERE).name == "large"


def test_the_embedded_one_when_nothing_is_here_or_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1 << 20)
    none = choose("fastvlm", list)
    assert none == Choice(catalog.DEFAULT, "embedded") and none.sentence() is None
    found = choose("mobileclip", lambda: HERE)
    assert found.name == catalog.DEFAULT_CLIP and "small, large, middle" in (found.sentence() or "")


def test_what_was_set_beforehand_wins(monkeypatch: pytest.MonkeyPatch, settings: Path) -> None:
    settings.write_text('model = "mine"\nclip = "my-clip"\n')
    assert choose("fastvlm", lambda: HERE) == Choice("mine", "config")
    assert choose_clip() == Choice("my-clip", "config")
    monkeypatch.setenv("GALAGO_MODEL", " theirs ")
    found = choose("fastvlm", lambda: HERE)
    assert found == Choice("theirs", "environment") and "theirs" in (found.sentence() or "")
    monkeypatch.setenv("GALAGO_MODEL", "")
    assert choose("fastvlm", lambda: HERE).name == "mine"


def test_clips_are_those_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, None)
    monkeypatch.setattr(choice, "local", lambda name: name if "S2-" in name else None)
    assert {one.name for one in choice.clips()} == {
        "timm/MobileCLIP2-S2-OpenCLIP",
        "apple/MobileCLIP-S2-OpenCLIP",
    }
    assert choose_clip().why == "best"
