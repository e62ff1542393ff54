"""Items and askers to evaluate with: no model, answers as the test wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from galago.errors import ImageError
from galago.evaluate.asking import Answer
from galago.evaluate.items import Asking, Item, items_of
from galago.rows.read import read_data
from tests.helpers.rows import paint, write_lines

__all__ = ["FakeAsker", "answer", "items_in"]


def items_in(folder: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[Item, ...]:
    """Of JSON lines; a picture is painted for each name."""
    for number, name in enumerate(dict.fromkeys(str(row["image"]) for row in rows)):
        paint(folder / name, number)
    place = write_lines(folder / "rows.jsonl", rows)
    return items_of(read_data(str(place), several=True), Asking()).items


def answer(said: str, sure: float = 0.5, **more: Any) -> Answer:
    settings: dict[str, Any] = {"known": None, "doubted": False, "seconds": 0.1, "finish": "end"}
    return Answer(said, sure, **(settings | more))


class FakeAsker:
    """Says what `say` makes of an item; counts what it is asked."""

    name = "fake"

    def __init__(self, say: Callable[[Item], str | Answer], precision: str = "fp32") -> None:
        self._say, self._precision = say, precision
        self.asked: list[str] = []

    @property
    def identity(self) -> Mapping[str, object]:
        return {"model": self.name, "precision": self._precision}

    def ask(self, item: Item) -> Answer:
        self.asked.append(item.question)
        said = self._say(item)
        if said == "damaged":
            raise ImageError("it is damaged")
        return said if isinstance(said, Answer) else answer(said)
