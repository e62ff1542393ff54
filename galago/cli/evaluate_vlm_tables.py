"""What `galago evaluate vlm` found, as a table in the terminal and as files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago.cli.evaluations import METHODS, share, table, write_text
from galago.cli.terminal import say, shown, write
from galago.errors import StorageError

if TYPE_CHECKING:
    from galago.evaluate.vlm.report import TaskReport

__all__ = ["tell_benchmarks", "write_benchmarks"]


def write_benchmarks(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    task: str,
    samples: Sequence[Mapping[str, Any]],
) -> None:
    """results.json with all tasks so far, and what was said to each question of the last one; what
    an earlier run said to other tasks is removed and told, as results.json hasn't their figures.

    StorageError for what the disk refuses.
    """
    lines = "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in samples)
    write_text(folder / f"{task}.jsonl", lines)
    whole = json.dumps({"tasks": records}, ensure_ascii=False, indent=1)
    write_text(folder / "results.json", f"{whole}\n")
    say(f"written: {shown(str(folder / task))}.jsonl and results.json")
    _remove_others(folder, {str(record["task"]) for record in records})


def _remove_others(folder: Path, told: Collection[str]) -> None:
    """What an earlier run of other tasks has left."""
    from galago.evaluate.vlm.tasks import TASKS

    files = [folder / f"{task.name}.jsonl" for task in TASKS if task.name not in told]
    old = [file for file in files if file.is_file()]
    try:
        for file in old:
            file.unlink()
    except OSError as error:
        raise StorageError(f"{error.filename} can't be removed: {error.strerror}") from None
    if old:
        say(f"removed, of an earlier run: {', '.join(file.name for file in old)}")


def tell_benchmarks(name: str, reports: Sequence[TaskReport]) -> None:
    """The figures of the tasks on stdout, beside what was published of the model."""
    told = dict.fromkeys((one.by, one.source) for report in reports for one in report.published)
    sources = dict.fromkeys(by for by, _ in told)
    heads = ("task", "metric", *(f"published ({by})" for by in sources), "here")
    write(f"\n{name}\n\n")
    rows = [_row(report, [*sources]) for report in reports]
    write(table((*heads, "95 % interval", "questions"), rows, 2))
    methods = sorted({report.figure.method for report in reports} - {""})
    write(f"intervals: {' and '.join(METHODS[one] for one in methods) or 'none'}\n")
    for by, source in told:
        write(f"{by}: {source}\n")
    for report in reports:
        if report.published and report.task.beside:
            write(f"{report.task.name}: {report.task.beside}\n")
        if report.published and report.figure.count < report.size:
            write(f"{report.task.name}: the published figure is of all questions\n")
        if not report.figure.method:
            write(f"{report.task.name}: no interval, as it is no mean of what was logged\n")


def _row(report: TaskReport, sources: Sequence[str]) -> tuple[str, ...]:
    figure = report.figure
    by = {one.by: one.value for one in report.published}
    published = [f"{by[source]:.1f} %" if source in by else "" for source in sources]
    interval = f"{share(figure.low)} to {share(figure.high)}" if figure.method else ""
    asked = f"{figure.count:,}"
    of = asked if figure.count >= report.size else f"{asked} of {report.size:,}"
    return (
        *(report.task.name, report.task.metric, *published, share(figure.mean)),
        *(interval, of),
    )
