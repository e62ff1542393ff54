"""`galago models`: what there is, what is here, sizes, licences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from galago import catalog
from galago.cli.terminal import write
from galago.fetch import gigabytes

__all__ = ["models"]


@dataclass(frozen=True)
class _Line:
    row: catalog.Model
    here: str
    size: str


def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the models: what is here, sizes, licences.

    HERE is `embedded` for what comes with galago, the precisions of a converted model, or
    `fetched`. Contacts nobody.

    \b
    Examples:
      galago models
      galago models --json
    """
    lines = [_line(row) for row in catalog.MODELS]
    if as_json:
        for line in lines:
            write(json.dumps(_record(line)) + "\n")
        return
    head = ("MODEL", "HERE", "SIZE", "LICENCE", "WHAT IT IS")
    rows = [head, *((x.row.name, x.here, x.size, x.row.licence.name, x.row.summary) for x in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        write("  ".join([*cells, row[-1]]) + "\n")


def _line(row: catalog.Model) -> _Line:
    from galago import hub, store

    if row.embedded:
        files = row.folder.glob("*") if row.folder.is_dir() else ()
        return _Line(row, "embedded", gigabytes(sum(f.stat().st_size for f in files)))
    kept = store.kept(row.name)
    here = ", ".join(sorted({entry.precision for entry in kept}))
    if not here:
        here = "fetched" if hub.local(row.name) else "-"
    return _Line(row, here, gigabytes(row.download))


def _record(line: _Line) -> dict[str, Any]:
    row = line.row
    return {
        "model": row.name,
        "here": None if line.here == "-" else line.here,
        "download_bytes": row.download,
        "parameters": row.parameters,
        "resolution": row.side,
        "licence": row.licence.name,
        "licence_terms": row.licence.terms,
        "licence_url": row.licence.url,
        "layout": row.layout,
        "aliases": list(row.aliases),
        "summary": row.summary,
    }
