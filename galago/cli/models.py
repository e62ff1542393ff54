"""`galago models`: what there is, what is here, sizes, licences."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from galago import catalog
from galago.cli.terminal import columns, shown, write, write_record
from galago.hub.fetch import gigabytes

__all__ = ["models"]


@dataclass(frozen=True)
class _Line:
    """What is shown of a model; `row` is None for one that only this machine knows."""

    name: str
    here: str | None
    size: int
    summary: str
    row: catalog.Model | None = None
    used: bool = False  # when none is named


def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the models: what is here, sizes, licences.

    KIND is what they are for: a fastvlm answers questions (describe, chat), a mobileclip finds and
    labels pictures (index, search, classify). HERE is `embedded` for what comes with galago, the
    precisions of a converted model, `fetched`, or `damaged` for files that don't make a whole
    model: pull it again. * marks those that are used when none is named. Contacts nobody.

    \b
    Examples:
      galago models
      galago models --json
    """
    used = _used()
    every = [*(_known(row) for row in catalog.MODELS), *_own()]
    lines = [replace(line, used=line.name in used) for line in every]
    if as_json:
        for line in lines:
            write_record(_record(line))
        return
    head = ("MODEL", "KIND", "HERE", "SIZE", "LICENCE", "WHAT IT IS")
    write(_table([head, *(_cells(line) for line in lines)], columns()))


def _used() -> set[str]:
    from galago.convert.choice import choose_fastvlm
    from galago.hub.choice import choose_clip

    named = {choose_fastvlm().name, choose_clip().name}
    return {row.name if (row := catalog.find(name)) else name for name in named}


def _table(rows: list[tuple[str, ...]], columns: int | None) -> str:
    """Rows under each other; where a terminal is too narrow the last cell stands below the rest."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    narrow = columns is not None and sum(widths) + 2 * (len(widths) - 1) > columns
    lines: list[str] = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if not narrow:
            lines.append("  ".join(cells).rstrip())
            continue
        for text, indent in (("  ".join(cells[:-1]).rstrip(), ""), (row[-1], "    ")):
            lines += textwrap.wrap(
                text,
                columns or 80,
                initial_indent=indent,
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "".join(f"{line}\n" for line in lines)


def _known(row: catalog.Model) -> _Line:
    from galago.convert import store
    from galago.hub.resolve import is_partial, local

    if row.embedded:
        return _Line(row.name, "embedded", _bytes_in(row.folder), row.summary, row)
    here = ", ".join(sorted({entry.precision for entry in store.kept(row.name)}))
    if not here:
        here = "fetched" if local(row.name) else "damaged" if is_partial(row.name) else ""
    return _Line(row.name, here or None, row.download, row.summary, row)


def _own() -> list[_Line]:
    """Conversions of folders and of hub models that the catalogue doesn't have."""
    from galago.convert import store

    return [
        _Line(
            entry.name,
            entry.precision,
            _bytes_in(entry.folder),
            f"converted from {entry.identity.get('path', 'the hub')}",
        )
        for entry in store.kept()
        if catalog.find(entry.name) is None
    ]


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*") if file.is_file())


def _cells(line: _Line) -> tuple[str, ...]:
    licence = line.row.licence.name if line.row else "its own"
    kind = line.row.kind if line.row else "fastvlm"  # only those are converted
    return (
        shown(line.name) + (" *" if line.used else ""),
        kind,
        line.here or "-",
        gigabytes(line.size),
        licence,
        shown(line.summary),
    )


def _record(line: _Line) -> dict[str, Any]:
    record: dict[str, Any] = {
        "model": line.name,
        "kind": line.row.kind if line.row else "fastvlm",
        "here": line.here,
        "used": line.used,
        "bytes": line.size,
        "summary": line.summary,
    }
    row = line.row
    if row is None:
        return record
    return record | {
        "parameters": row.parameters,
        "resolution": row.side,
        "licence": row.licence.name,
        "licence_terms": row.licence.terms,
        "licence_url": row.licence.url,
        "layout": row.layout,
        "aliases": list(row.aliases),
    }
