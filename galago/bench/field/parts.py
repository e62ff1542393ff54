"""Models put together from measured parts: a first token is its towers' time and its decoder's.

As the FastVLM paper has it: encoder latency plus prefill. Projectors and connectors are in neither.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from galago.bench.field.models import VLMS, Rival, Vlm
from galago.bench.field.rows import prompt, row_name
from galago.bench.markdown import Rows

__all__ = [
    "ENGINES",
    "Engine",
    "First",
    "answer",
    "first_token",
    "first_tokens",
    "latency",
    "together",
]

TOGETHER = 6 * 3600  # seconds within which rows count as measured together


@dataclass(frozen=True)
class Engine:
    """What towers and decoders run in. `name` is what a reader sees; bf16 is float32 where the
    processor has no product of it, as the rows tell."""

    name: str
    where: str
    decoder: str

    @property
    def tower(self) -> str:
        return "best" if self.where == "torch" else "bf16"


ENGINES = (
    Engine("PyTorch, best dtype", "torch", "best"),
    Engine("OpenVINO", "galago", "bf16"),
    Engine("OpenVINO, decoder int8", "galago", "int8"),
)


@dataclass(frozen=True)
class First:
    """A model's first token in one engine, in seconds, and which rows it was put together from."""

    vision: float
    prefill: float
    rows: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.vision + self.prefill


def first_token(rows: Rows, model: Vlm, engine: Engine) -> First | None:
    """None unless every part has been measured."""
    names, seen = [], 0.0
    for look in model.looks:
        name = row_name(look.tower, engine.where, engine.tower)
        found = _point(rows, name, f"{look.side}x{look.count}")
        if found is None:
            return None
        names.append(name)
        seen += found
    name = row_name(model.decoder, engine.where, engine.decoder)
    read = _point(rows, name, prompt(model.visual_tokens))
    return None if read is None else First(seen, read, (*names, name))


def first_tokens(rows: Rows, engine: Engine, group: str = "") -> Iterator[tuple[Vlm, First]]:
    """Of every model (of a group) whose parts are there."""
    for model in VLMS:
        found = first_token(rows, model, engine) if group in ("", model.group) else None
        if found is not None:
            yield model, found


def latency(rows: Rows, rival: Rival, engine: Engine) -> float | None:
    """Seconds of an image tower of CLIP's kind, one picture at a time."""
    name = row_name(rival.tower, engine.where, engine.tower)
    return _point(rows, name, f"{rival.side}x1")


def answer(rows: Rows, model: Vlm, engine: Engine, tokens: int) -> float | None:
    """Seconds from a picture to the last of `tokens` of an answer."""
    first = first_token(rows, model, engine)
    if first is None:
        return None
    steps = rows[first.rows[-1]].get("samples", {}).get("decode")
    return first.seconds + (tokens - 1) * statistics.median(steps) if steps else None


def _point(rows: Rows, name: str, size: str) -> float | None:
    values = rows.get(name, {}).get("points", {}).get(size)
    return statistics.median(values) if values else None


def together(rows: Rows, names: Sequence[str]) -> bool:
    """Whether these rows were measured within hours of each other, as one run measures them."""
    when: list[float] = [rows[name]["when"] for name in names if "when" in rows[name]]
    return len(when) == len(names) and max(when) - min(when) <= TOGETHER
