"""The two kinds of split side by side, for the model's card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galago.train.nano.doubt.report import into_card
from galago.train.nano.log import percent

TITLE = "## What generalises"
HEAD = """\
Measured by `python -m galago.train.nano.measure`, seed {seed}. Sources held out whole: no picture,
person, book, font, paper or light of theirs was trained on
(`galago/train/nano/data/held_out.py`). Beside them the splits of the sources that were trained on.
"""


def table(figures: dict[str, Any]) -> str:
    """Markdown of what __main__ writes as JSON."""
    rows = ["| task | held out whole | count | on the splits |", "|---|---|---|---|"]
    rows += _vlm(figures) if figures["kind"] == "vlm" else _clip(figures)
    return "\n".join([HEAD.format(seed=figures["seed"]), *rows, ""])


def _vlm(figures: dict[str, Any]) -> list[str]:
    whole, splits = figures["whole"], figures["splits"]
    rows = []
    if fingers := whole.get("fingers"):
        on_splits = _at(splits, "fingers", "all")
        rows += [
            _row("fingers", percent(fingers["all"]), fingers["count"], on_splits),
            _row("fingers, mean of the counts 1–5", percent(fingers["mean_of_counts"]), "", "–"),
        ]
    text = whole.get("text", {})
    titles = {
        "notes": "photographed notes: characters wrong",
        "text-lines": "lines cut out of photographs: characters wrong",
        "text-photos": "photographs with lettering: characters wrong",
    }
    for source, title in titles.items():
        if source in text:
            drawn = _at(splits, "text", "cer_all") if source == "notes" else "–"
            rows.append(_row(title, percent(text[source]["cer"]), text[source]["count"], drawn))
    for source, held in whole.get("everyday", {}).items():
        name, share = held["constant"]
        title = f"{source}: something rightly named"
        said = held["describe"]
        objects = _at(splits, "objects", "all") if source == "captions-openstax" else "–"
        rows.append(_row(title, percent(said["right"]), held["count"], objects))
        rows.append(
            _row(f"{source}: not counting people", percent(said["right_without_people"]), "", "–")
        )
        rows.append(_row(f'{source}: always "{name}" would be', percent(share), "", "–"))
    emoji = _at(splits, "emoji", "all")
    return [*rows, _row("emoji of a design never seen", emoji, "", emoji)]


def _clip(figures: dict[str, Any]) -> list[str]:
    rows = []
    for source, held in figures["whole"].items():
        if not held:
            continue
        recalls = ", ".join(percent(held[f"at{k}"]) for k in (1, 5, 10))
        count = f"{held['queries']} queries, {held['album']} pictures"
        splits = figures["splits"].get("recall", {})
        taught = ", ".join(percent(splits[f"at{k}"]) for k in (1, 5, 10)) if splits else "–"
        rows += [
            _row(f"{source}: recall at 1, 5, 10", recalls, count, taught),
            _row(f"{source}: by chance at 10", percent(held["chance10"]), "", "–"),
            _row(f"{source}: names of one or two pictures, at 10", percent(held["rare_at10"]),
                 held["rare_queries"], f"chance {percent(held['rare_chance10'])}"),
        ]  # fmt: skip
    unseen = figures["splits"].get("recall_unseen")
    if unseen:
        rows.append(
            _row("words never used, at 10", "–", unseen["queries"], percent(unseen["at10"]))
        )
        rows.append(_row("zero-shot, top-1", "–", "", _at(figures["splits"], "zero_shot", "top1")))
    return rows


def _at(held: dict[str, Any], *keys: str) -> str:
    for key in keys:
        if key not in held:
            return "–"
        held = held[key]
    return percent(held)  # type: ignore[arg-type]


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def write(figures: dict[str, Any], card: Path) -> None:
    """Put the table into a card, if there is one, in the place of an older one."""
    into_card(card, table(figures), TITLE)
