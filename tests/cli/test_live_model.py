"""The second, quick model of a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from galago.cli import live_model
from galago.cli.live_model import live_beside
from galago.cli.options import Opening
from galago.convert import choice
from galago.errors import ModelError
from galago.hub.choice import Candidate

LARGE = SimpleNamespace(name="apple/FastVLM-7B")
QUICK = Candidate("apple/FastVLM-0.5B", 1 << 30)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Two models, and the free memory."""
    machine = {"free": 8 << 30}
    both = [Candidate(LARGE.name, 6 << 30), QUICK]
    monkeypatch.setattr(choice, "converted", lambda precision: both)
    monkeypatch.setattr("galago.memory.available", lambda: machine["free"])
    return machine


def beside(opening: Opening | None = None, vlm: Any = LARGE) -> Any:
    return live_beside(vlm, opening or Opening(), None)  # type: ignore[arg-type]


def test_the_quickest_where_the_best_is_another(here: dict[str, int]) -> None:
    found = beside()
    assert found is not None and found.name == QUICK.name
    assert beside(vlm=SimpleNamespace(name=QUICK.name)) is None
    here["free"] = 1 << 30  # with the large one in it
    assert beside() is None


def test_who_named_a_model_gets_that_one_alone(
    here: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert beside(Opening(model=LARGE.name)) is None
    monkeypatch.setenv("GALAGO_MODEL", LARGE.name)
    assert beside() is None


def test_it_is_opened_when_it_is_asked_and_if_there_is_memory(
    here: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str | None] = []

    def load(opening: Opening, prompt: str = "", pool: Any = None) -> Any:
        opened.append(opening.model)
        return SimpleNamespace(keep_caches=lambda count: None)

    monkeypatch.setattr(live_model.Opening, "load", load)
    found = beside(Opening(precision="int8"))
    assert found is not None and not opened
    found.load()
    assert opened == [QUICK.name]
    here["free"] = 1 << 30
    with pytest.raises(ModelError, match="the free memory doesn't hold apple/FastVLM-0.5B"):
        found.load()
