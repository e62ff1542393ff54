"""What `galago evaluate vlm --out` wrote of the same tasks by both routes, side by side: the table
of docs/evaluate.md.  Ends with 1 where the two differ.

    python -m tests.helpers.two_routes PLUGIN SERVER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

__all__ = ["table"]


def table(plugin: Path, server: Path) -> tuple[list[str], bool]:
    """The lines of a table, and whether all figures and answers are the same."""
    first, second = _figures(plugin), _figures(server)
    lines = ["| task | questions | plug-in | server | the same answers |", "|---|---|---|---|---|"]
    same = [*first] == [*second]
    for task, figure in first.items():
        other = second.get(task, "–")
        pairs = list(zip(_said(plugin, task), _said(server, task), strict=True))
        equal = sum(one == two for one, two in pairs)
        same = same and figure == other and equal == len(pairs)
        lines.append(f"| `{task}` | {len(pairs)} | {figure} | {other} | {equal} |")
    return lines, same


def _figures(folder: Path) -> dict[str, str]:
    tasks = json.loads((folder / "results.json").read_text("utf-8"))["tasks"]
    return {one["task"]: f"{100 * one['figure']['mean']:.4f} %" for one in tasks}


def _said(folder: Path, task: str) -> list[object]:
    """What was said to each question, in their order."""
    file = folder / f"{task}.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    rows = sorted((json.loads(line) for line in lines), key=lambda row: int(row["doc_id"]))
    return [row["resps"] if "resps" in row else row["filtered_resps"] for row in rows]


if __name__ == "__main__":
    told, equal = table(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(told))
    sys.exit(0 if equal else 1)
