"""galago's own model asked the stand-ins by both routes of lmms-eval, side by side: the table of
docs/evaluate.md.  One run of lmms-eval a route, with all tasks.  Ends with 1 where the two differ.

    python -m tests.helpers.two_routes DATA FOLDER

DATA is what tests.helpers.benchmarks has written, FOLDER where is worked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from galago.evaluate.vlm.data import find_data, link_data
from galago.evaluate.vlm.harness import Found, Harness, Route, command, found_in
from galago.evaluate.vlm.scores import judged
from galago.evaluate.vlm.serving import PARALLEL, served
from galago.evaluate.vlm.tasks import TASKS, Task

__all__ = ["MODEL", "Said", "both_routes", "table"]

MODEL = "fastvlm-nano"


@dataclass(frozen=True)
class Said:
    """What came of a task: its figure, and what was said to each question, in their order."""

    figure: float
    answers: tuple[str, ...]


def both_routes(
    tasks: Sequence[Task], data: Path, folder: Path
) -> tuple[dict[str, Said], dict[str, Said]]:
    """Each task by the plug-in, and by lmms-eval's client of a server."""
    plugin = Route("plugin", "galago", f"parallel={PARALLEL}", {"GALAGO_MODEL": MODEL})
    first = _asked(tasks, data, plugin, folder)
    with served(["-m", MODEL], folder / "serve") as server:
        return first, _asked(tasks, data, server, folder)


def _asked(tasks: Sequence[Task], data: Path, route: Route, folder: Path) -> dict[str, Said]:
    place = folder / route.name
    place.mkdir(parents=True)
    for task in tasks:
        found = find_data(task.data, data)
        assert found is not None, f"{task.data} isn't in {data}"
        link_data(found, place)
    harness = Harness(sys.executable, folder / "datasets")
    code = harness.start(command(",".join(task.name for task in tasks), route), route, place)
    assert code == 0, (place / "log.txt").read_text("utf-8", "replace")[-3000:]
    return {task.name: _said(task, found_in(place, task)) for task in tasks}


def _said(task: Task, found: Found) -> Said:
    rows = sorted(found.samples, key=lambda row: int(row["doc_id"]))
    answers = tuple(str(row["filtered_resps"]) for row in rows)
    return Said(judged(task, found).mean, answers)


def table(plugin: dict[str, Said], server: dict[str, Said]) -> list[str]:
    """The lines of it."""
    lines = ["| task | questions | plug-in | server | the same answers |", "|---|---|---|---|---|"]
    for task, one in plugin.items():
        other = server[task]
        same = sum(a == b for a, b in zip(one.answers, other.answers, strict=True))
        figures = f"{100 * one.figure:.2f} % | {100 * other.figure:.2f} %"
        lines.append(f"| `{task}` | {len(one.answers)} | {figures} | {same} |")
    return lines


if __name__ == "__main__":
    told = both_routes(TASKS, Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
    print("\n".join(table(*told)))
    sys.exit(told[0] != told[1])
