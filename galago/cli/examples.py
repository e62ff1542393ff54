"""Rows of training data in the terminal: as the model will see them, and what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from galago.cli.terminal import say, shown, write, write_drawing
from galago.disk import whole_file
from galago.errors import StorageError
from galago.text.visible import visible

if TYPE_CHECKING:
    from pathlib import Path

    from galago.train.tune.check import FaultyDataError
    from galago.train.tune.dry_run import Shown, Span

__all__ = ["example_record", "show_examples", "tell_faults", "write_sheet"]

_LEARNT, _PICTURE = "bold green", "cyan"


def show_examples(examples: Sequence[Shown], *, preview: bool | None = None) -> None:
    """Each row: its squares where the terminal shows pictures, what is read, what is learnt.

    In a terminal what is learnt is green; elsewhere, and with NO_COLOR, it stands in {+ +}.
    """
    from galago.cli.preview import drawing, drawn_pixels

    way = drawing(preview)
    for number, one in enumerate(examples, 1):
        pictures = "" if len(one.squares) == 1 else "s"
        side = f" of {len(one.squares[0])} px" if one.squares else ""
        write(
            f"-- {number}: {visible(one.where)}, {len(one.squares)} picture{pictures}{side}, "
            f"{one.positions} positions, {one.learnt} learnt\n"
        )
        if one.cut:
            write(f"-- its answer is cut: {one.cut} tokens are left out\n")
        if way is not None:
            for square in one.squares:
                write_drawing(drawn_pixels(way, square))
        _write_spans(one.spans)


def _write_spans(spans: Sequence[Span]) -> None:
    from galago.train.tune.dry_run import stand_apart

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        write(f"{stand_apart(spans)}\n\n")
        return
    from rich.console import Console
    from rich.text import Text

    text = Text()
    for span in spans:
        style = _LEARNT if span.learnt else _PICTURE if span.picture else ""
        text.append(visible(span.text, lines=True), style)
    Console(file=sys.stdout, highlight=False).print(text, soft_wrap=True)
    write("\n")


def example_record(one: Shown) -> dict[str, Any]:
    """A row for --json."""
    return {
        "where": one.where,
        "pictures": len(one.squares),
        "positions": one.positions,
        "learnt": one.learnt,
        "cut": one.cut,
        "spans": [
            {"text": span.text, "learnt": span.learnt, "picture": span.picture}
            for span in one.spans
        ],
    }


def write_sheet(path: Path, examples: Sequence[Shown]) -> bool:
    """The squares as a PNG; whether there are any.  StorageError where it can't be written."""
    from galago.train.tune.dry_run import contact_sheet

    data = contact_sheet(examples)
    if data is None:
        return False
    try:
        with whole_file(path) as file:
            file.write(data)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror}") from error
    say(f"the squares as the model sees them: {shown(str(path))}")
    return True


def tell_faults(error: FaultyDataError) -> None:
    """The first faults, a line each; the error itself says what to do about them."""
    say(*error.report.lines())
