"""`python -m benchmarks`: FastVLM-0.5B's shape, random weights, galago beside transformers.

Every row is a process of its own, so that its peak memory is its own; rows are measured in turn,
`--rounds` times over, and the median is kept: what slows this machine for a while slows all of
them. Writes docs/benchmark.json and the table in docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.shared import DOCS, machine, measured

ROWS = (
    ("transformers", "fp32"),
    ("transformers", "bf16"),
    ("galago", "fp32"),
    ("galago", "bf16"),
    ("galago", "int8"),
    ("galago", "int4"),
)
PACKAGES = ("openvino", "torch", "transformers", "numpy")
console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the random model here and use it again")
    parser.add_argument("--rows", nargs="*", help="engine/precision, all by default")
    options = parser.parse_args()
    rows = [r for r in ROWS if not options.rows or "/".join(r) in options.rows]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "model"
        if not (folder / "config.json").exists():
            from tests.checkpoints import full_llava

            console.print("writing random weights of FastVLM-0.5B's shape (1.5 GB)")
            full_llava(folder)
        found: dict[str, list[dict[str, float]]] = {"/".join(row): [] for row in rows}
        for turn in range(options.rounds):
            for engine, precision in rows:
                console.print(f"round {turn + 1} of {options.rounds}: {engine} {precision}")
                result = measured("benchmarks.one", engine, precision, folder, options.threads)
                console.print(f"  {result}")
                found[f"{engine}/{precision}"].append(result)
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }
    report = {
        "machine": machine(options.threads, PACKAGES),
        "rounds": options.rounds,
        "rows": medians,
    }
    (DOCS / "benchmark.json").write_text(json.dumps(report | {"runs": found}, indent=1) + "\n")
    table = _table(medians)
    (DOCS / "benchmark.md").write_text(_page(report, table))
    print(table)


def _table(rows: dict[str, dict[str, float]]) -> str:
    lines = [
        "| engine | vision s | prefill s | first token s | decode tok/s | peak memory MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {name.replace('/', ' ')} | {row['vision']:.2f} | {row['prefill']:.2f} "
            f"| {row['first_token']:.2f} | {row['tokens_per_second']:.1f} "
            f"| {row['peak_memory'] / 1e6:.0f} |"
        )
    return "\n".join(lines)


def _page(report: dict[str, Any], table: str) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    return f"""# FastVLM-0.5B's shape on a CPU

Random weights of the published shapes (speed does not depend on their values), one 1024 px picture,
285 prompt tokens of which 256 are the picture's, 32 tokens decoded. Median of {report["rounds"]}
rounds in one run of `make bench`; every row is a process of its own. First token is vision, prefill
and the first token; peak memory is the whole process after loading and answering.

{table}

Machine: {machine}.

galago's int8 and int4 rows quantise the language model's weights; their vision runs in bfloat16 as
the bf16 row's does. transformers is FastVlmForConditionalGeneration with its default attention.
"""


if __name__ == "__main__":
    main()
