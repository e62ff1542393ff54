"""Dataclasses of options spread into a verb's signature."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from galago.cli.spread import spread


@dataclass(frozen=True)
class Opening:
    model: str = "nano"
    threads: int | None = None
    offline: bool = False
    resolution: int | None = None


@dataclass(frozen=True)
class Sampling:
    seed: int | None = None
    prompt: str = "What?"


def names(verb: object) -> list[str]:
    return list(inspect.signature(verb).parameters)  # type: ignore[arg-type]


def test_options_that_meet_stand_in_one_order_and_offline_last() -> None:
    @spread
    def one(picture: str, opening: Opening, sampling: Sampling, top: int = 3) -> None: ...

    @spread
    def other(picture: str, sampling: Sampling, opening: Opening, top: int = 3) -> None: ...

    order = ["picture", "prompt", "model", "resolution", "seed", "threads", "top", "offline"]
    assert names(one) == names(other) == order


def test_options_between_which_something_stands_keep_their_places() -> None:
    @spread
    def verb(sampling: Sampling, picture: str, opening: Opening) -> None: ...

    assert names(verb) == [
        *("prompt", "seed", "picture", "model", "resolution", "threads", "offline")
    ]


def test_a_verb_gets_its_dataclasses() -> None:
    taken: list[object] = []

    @spread
    def verb(picture: str, opening: Opening, sampling: Sampling) -> None:
        """Its help."""
        taken.extend((picture, opening, sampling))

    defaults = {name: one.default for name, one in inspect.signature(verb).parameters.items()}
    assert defaults["picture"] is inspect.Parameter.empty and defaults["model"] == "nano"
    verb(**{**defaults, "picture": "a.png", "model": "other", "seed": 7, "offline": True})
    assert taken == ["a.png", Opening("other", offline=True), Sampling(7)]
    assert verb.__doc__ == "Its help." and verb.__name__ == "verb"
