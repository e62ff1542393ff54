"""What `galago evaluate` found, as tables in the terminal, files, and a page of wrong answers."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from galago.cli.sheets import write_page
from galago.cli.terminal import columns, say, shown, write
from galago.disk import whole_file
from galago.errors import ImageError, OptionError, StorageError

if TYPE_CHECKING:
    from galago.evaluate.compare import Changed, Comparison
    from galago.evaluate.intervals import Figure
    from galago.evaluate.outcomes import Outcome, Run
    from galago.evaluate.report import Report
    from galago.media.pool import PicturePool

__all__ = [
    "METHODS",
    "place_for",
    "share",
    "table",
    "tell_comparison",
    "tell_report",
    "write_results",
    "write_text",
]

Kind = Literal["own", "vlm"]  # of galago evaluate
WORST = 20  # on the page
_SHOWN = 10  # confusions, and changed answers
_WIDTH = 100  # columns, where no terminal says


def place_for(out: str | None, number: int, count: int, kind: Kind = "own") -> Path | None:
    """The folder of a run, made: `out` itself, or of several runs one in it for each.

    What earlier ones left beside several runs is told.  OptionError for a folder with something
    else in it, which results of another kind are, too; StorageError for one that can't be made.
    """
    if out is None:
        return None
    folder = Path(os.path.abspath(os.path.expanduser(out)))
    folder = folder / str(number) if count > 1 else folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and _kind_of(folder / "results.json") != kind:
            raise OptionError(f"--out {folder} has something else in it: name a new folder")
        old = _older(folder.parent, count) if number == count > 1 else []
    except OSError as error:
        raise StorageError(f"--out {folder} can't be written: {error.strerror}") from None
    if old:
        say(f"of an earlier run: {', '.join(old)} in {shown(str(folder.parent))}")
    return folder


def _kind_of(file: Path) -> str:
    """What has written a results.json; "" for what is none."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    return "own" if "data" in found else "vlm" if "tasks" in found else ""


def _older(folder: Path, count: int) -> list[str]:
    """What a single run, or more than so many, have left."""
    names = sorted(one.name for one in folder.iterdir())
    return [
        name for name in names if name == "results.json" or (name.isdigit() and int(name) > count)
    ]


def write_results(
    folder: Path, record: dict[str, Any], run: Run, name: str, pool: PicturePool
) -> None:
    """results.json, answers.jsonl and worst.html.  StorageError for what the disk refuses."""
    lines = "".join(f"{json.dumps(one.to_json(), ensure_ascii=False)}\n" for one in run.outcomes)
    texts = {
        "results.json": json.dumps(record, ensure_ascii=False, indent=1) + "\n",
        "answers.jsonl": lines,
    }
    for file, text in texts.items():
        write_text(folder / file, text)
    write_page(_sheet(name, run, pool), str(folder / "worst.html"), view=False)
    say(f"written: {shown(str(folder))}")


def write_text(file: Path, text: str) -> None:
    """A whole file, or none.  StorageError for what the disk refuses."""
    try:
        with whole_file(file) as sink:
            sink.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise StorageError(f"{file} can't be written: {error.strerror}") from error


def _sheet(name: str, run: Run, pool: PicturePool) -> Iterable[str]:
    """The worst answers as a page."""
    from galago.album.sheet import grouped_sheet
    from galago.evaluate.report import worst

    outcomes = worst(run.outcomes, WORST)
    sources = {_place(one): one.item.row.pictures[:1] for one in outcomes}

    def thumbnail(place: str, side: int) -> bytes:
        for photo in sources[place]:
            return pool.thumbnail(photo.source(), side, name=photo.name)
        raise ImageError("a question without a picture")

    wrong = sum(not one.right for one in run.outcomes)
    note = (
        f"{len(outcomes)} of {wrong:,} wrong answers of {len(run.outcomes):,}: the lowest scores "
    )
    note += "first, of equal ones the surest"
    photos = [(_place(one), _caption(one)) for one in outcomes]
    return grouped_sheet(name, [("Wrong answers", photos)], note, thumbnail, os.path.isfile)


def _place(one: Outcome) -> str:
    """Where the first picture lies, else what it is called: a tar holds more than one."""
    from galago.rows.rows import PhotoFile

    for photo in one.item.row.pictures:
        return photo.path if isinstance(photo, PhotoFile) else photo.name
    return one.item.row.where


def _caption(one: Outcome) -> list[str]:
    known = one.answer.known
    sure = f"sure: {one.answer.confidence:.0%}"
    if known is not None:
        sure = f"known: {known:.0%}" + (", doubted" if one.answer.doubted else "")
    return [
        one.item.question,
        f"right: {' | '.join(one.item.answers)}",
        f"said: {one.answer.said}",
        f"{one.item.metric.name} {one.score:.2f}; {sure}",
        one.item.row.where,
    ]


def tell_report(name: str, report: Report) -> None:
    """The figures of a run as tables on stdout."""
    rows = []
    for task in report.tasks:
        rows.append((task.name or "all", task.metric, *_figure(task.score)))
        if task.score != task.right:
            rows.append((task.name or "all", f"{task.metric}: right", *_figure(task.right)))
    write(f"\n{name}: {share(report.right.mean)} right\n\n")
    write(table(("task", "metric", "score", "95 % interval", "answers"), rows, 2))
    methods = sorted({f.method for task in report.tasks for f in (task.score, task.right)} - {""})
    write(f"intervals: {' and '.join(METHODS[one] for one in methods) or 'none'}\n")
    what = "label" if report.top5 is not None else "first token"
    write(f"{what}: {report.seconds * 1e3:.0f} ms from opening the picture (median)\n")
    if report.top5 is not None:
        write(f"among the five likeliest: {share(report.top5)}\n")
    wrong = [one for one in report.confusion if one[0] != one[1]]
    if wrong:
        write(
            "\n"
            + table(("is", "taken for", "times"), [_confused(one) for one in wrong[:_SHOWN]], 2)
        )
    _tell_doubt(report)


METHODS = {"wilson": "Wilson's", "bootstrap": "bootstrap over pictures"}


def _tell_doubt(report: Report) -> None:
    found = report.calibration
    by = {
        "known": "how probably it is right, as was measured (docs/doubt.md)",
        "confidence": "how sure it is; its doubt was never measured",
    }[found.by]
    rows = [
        (f"{one.low:.1f}-{one.high:.1f}", share(one.mean), share(one.right), f"{one.count:,}")
        for one in found.bins
    ]
    write("\n" + table((found.by, "mean", "right", "answers"), rows, 1))
    write(f"{found.by}: {by}; expected calibration error {found.ece:.3f}\n")
    for words, side in (("without doubt", found.sure), ("doubted", found.unsure)):
        if side is not None:
            interval = f"{share(side.low)} to {share(side.high)}"
            write(f"{words}: {side.count:,}, {share(side.right)} right ({interval})\n")


def tell_comparison(found: Comparison) -> None:
    """How a run differs from another, on stdout."""
    write(f"\n{found.after} against {found.before}, {found.right.count:,} answers of both\n\n")
    rows = [
        (what, *_difference(one)) for what, one in (("right", found.right), *found.scores.items())
    ]
    write(table(("", "difference", "95 % interval", "p", "test"), rows, 1))
    worse = len(found.changed) - found.better
    write(f"right now, wrong before: {found.better:,}; wrong now, right before: {worse:,}\n")
    if found.without:
        write(f"left out, as only one of them was asked: {found.without:,}\n")
    if found.changed:
        rows = [_changed(one) for one in found.changed[:_SHOWN]]
        write("\n" + table(("", "row", "right", "before", "now"), rows, 5))
    if (more := len(found.changed) - _SHOWN) > 0:
        write(f"… and {more:,} more; --json and --out have them all\n")


def _changed(one: Changed) -> tuple[str, ...]:
    return "+" if one.better else "-", one.where, " | ".join(one.answers), one.before, one.after


def _difference(one: Any) -> tuple[str, ...]:
    test = {"mcnemar": "McNemar's, exact", "bootstrap": "paired bootstrap"}[one.test]
    interval = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    p = "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
    return f"{100 * one.mean:+.1f} points", interval, p, test


def _figure(one: Figure) -> tuple[str, ...]:
    interval = f"{share(one.low)} to {share(one.high)}" if one.method else ""
    return share(one.mean), interval, f"{one.count:,}"


def _confused(one: tuple[str, str, int]) -> tuple[str, ...]:
    return one[0], one[1] or "(none of the labels)", f"{one[2]:,}"


def share(value: float) -> str:
    """Per cent."""
    return f"{100 * value:.1f} %"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A table of at most so many rows; the first `texts` columns are words, the others figures."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from galago.text.visible import visible

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, head in enumerate(heads):
        drawn.add_column(head, justify="left" if number < texts else "right")
    for row in rows:
        drawn.add_row(
            *(
                Text(visible(cell.replace("\n", " ")), overflow="ellipsis", no_wrap=True)
                for cell in row
            )
        )
    out = io.StringIO()
    Console(file=out, width=columns() or _WIDTH, no_color=True, highlight=False).print(drawn)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines() if line.strip())
