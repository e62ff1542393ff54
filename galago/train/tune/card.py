"""The README of a fine-tuned folder: of what, on what, how, and how good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from galago.convert.selfcheck import SelfCheck
from galago.train.tune.answers import Answers, Figure, Score
from galago.train.tune.loop import Course
from galago.train.tune.options import TuneOptions
from galago.version import __version__

__all__ = ["Facts", "card"]


@dataclass(frozen=True)
class Facts:
    """What the card tells."""

    name: str
    base: str
    licence: str
    data: str
    train: int
    held: int
    pictures: int
    learns: int
    numbers: int
    side: int
    options: TuneOptions
    course: Course
    devices: int
    seconds: float
    check: SelfCheck
    before: Answers
    after: Answers
    dropped: Sequence[str] = ()


def card(facts: Facts) -> str:
    """Markdown."""
    options, course = facts.options, facts.course
    steps = f"{course.steps:,} steps of {_rows_a_step(facts)} rows"
    ended = ", ended early as the held-out loss got no better" if course.stopped_early else ""
    taken = (
        f"; the weights are those of step {course.best:,}" if course.best != course.steps else ""
    )
    lines = [
        f"# {facts.name}",
        "",
        f"{facts.base}, fine-tuned by galago {__version__}. Licence of the base's weights: "
        f"{facts.licence}. What the data's licence asks for is not known here.",
        "",
        "## Figures",
        "",
        "| | before | after |",
        "|---|---|---|",
        *_figures(facts),
        "",
        "Answers are exact ones, but for case, spaces and a final full stop, said greedily by "
        "galago; rows held out by a hash of their pictures were never trained on.",
        *_forgotten(facts.after.own),
        "",
        "The folder was opened again and compared with what was trained: "
        f"{facts.check.sentence()}.",
        "",
        "## Training",
        "",
        f"- Data: {facts.data}: {facts.train:,} rows to learn from and {facts.held:,} held out, "
        f"with {facts.pictures:,} pictures, seen at {facts.side} px.",
        f"- Learns: {_learns(options)}: {facts.learns:,} of {facts.numbers:,} numbers.",
        f"- {steps}{ended}{taken}, in {facts.seconds / 60:.1f} minutes.",
        f"- AdamW, highest rate {options.highest_rate:g}, cosine, 3 % warm-up, gradients clipped "
        f"at 1, seed {options.seed}, precision {options.precision}.",
        *(f"- {line}" for line in facts.dropped),
        "",
        *_examples(facts.after.held_out),
        "## Use",
        "",
        "```bash",
        'galago describe -m path/to/this/folder picture.jpg -p "…"',
        "```",
        "",
        *(_ADAPTER if options.adapter else ()),
    ]
    return "\n".join(lines)


_ADAPTER = (
    "This folder is an adapter in peft's files: it needs the model that it was trained on, which "
    "`adapter_config.json` names (`base_model_name_or_path`), with the very weights of "
    "`adapter_base.json`.",
    "",
)


def _rows_a_step(facts: Facts) -> int:
    options = facts.options
    return options.batch * options.accumulated(facts.devices) * facts.devices


def _figures(facts: Facts) -> list[str]:
    course, lines = facts.course, []
    if course.before is not None and course.after is not None:
        lines.append(f"| held-out loss | {course.before:.3f} | {course.after:.3f} |")
    before, after = facts.before, facts.after
    if before.held_out and after.held_out:
        pair = (before.held_out, after.held_out)
        lines.append(f"| held-out answers | {' | '.join(one.sentence() for one in pair)} |")
    for was, now in zip(before.own, after.own, strict=True):
        lines.append(f"| {was.what} | {was.sentence()} | {now.sentence()} |")
    return lines or [f"| last training loss (nothing was held out) | | {course.loss:.3f} |"]


def _forgotten(own: Sequence[Figure]) -> list[str]:
    if not own:
        return []
    asked = "Notes are drawn at 384 px in DejaVu's fonts, of which no model of galago's saw any"
    if len(own) > 2:
        asked += "; the other pictures are of the held-out part of the base's own training data"
    else:
        asked += "; what else the base was taught (things, fingers, emoji) wasn't asked"
    return ["", f"How much the base forgot: {asked}."]


def _learns(options: TuneOptions) -> str:
    decoder = "the decoder whole" if options.full else f"the decoder by LoRA of rank {options.rank}"
    names = {"projector": "the projector", "decoder": decoder, "vision": "the trunk"}
    return ", ".join(names[part] for part in options.parts)


def _examples(score: Score | None) -> list[str]:
    if score is None or not score.examples:
        return []
    rows = [f"| {' | '.join(map(_cell, one))} |" for one in score.examples]
    return ["## Examples, held out", "", "| question | right | said |", "|---|---|---|", *rows, ""]


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) <= 120 else f"{text[:119]}…"
