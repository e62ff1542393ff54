"""Rows of Parquet files as pictures: of a column that holds them, or their paths or addresses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from galago.errors import OptionError
from galago.scale.addresses import opened
from galago.scale.items import Cell, Item

__all__ = ["rows_of"]

_HELD = ("image", "picture", "img", "photo", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes")
_NAMED = ("url", "image_url", "uri", "path", "image_path", "file_name", "filename", "file")
Named = Callable[[str, str, str], Item]


def rows_of(
    path: str, name: bytes, root: str, modified: int | None, column: str, named: Named
) -> Iterator[Item]:
    """A picture a row; `named` makes one of a path or address, a folder and its root.

    Rows that hold their picture are called as the file with "#" and their number from 0; a row of
    nothing is a picture that can't be read.  OptionError for a damaged file, and without a column
    of pictures.
    """
    shown = os.fsdecode(name)
    files = opened(root)
    from pyarrow import lib, parquet

    try:
        with files.open_input_file(path) as file:
            table = parquet.ParquetFile(file)
            chosen, held = _column(table.schema_arrow, column, shown)
            row = 0
            for group in range(table.num_row_groups):
                if held:
                    count = table.metadata.row_group(group).num_rows
                    for at in range(count):
                        place = Cell(path, group, at, chosen, root)
                        yield Item(name + f"#{row + at}".encode(), place, None, modified)
                    row += count
                    continue
                values = table.read_row_group(group, columns=[chosen])[chosen].to_pylist()
                for at, value in enumerate(values):
                    if value:
                        yield named(value, os.path.dirname(path), root)
                    else:
                        place = Cell(path, group, at, chosen, root)
                        yield Item(name + f"#{row + at}".encode(), place, None, modified)
                row += len(values)
    except (OSError, lib.ArrowException) as error:
        reason = " ".join(str(error).split())[:160]
        raise OptionError(f"{shown} can't be read as Parquet: {reason}") from None


def _column(schema: Any, wanted: str, shown: str) -> tuple[str, bool]:
    """The column of pictures, and whether it holds them and doesn't only name them."""
    kinds = {field.name: _kind(field.type) for field in schema}
    if wanted:
        if wanted not in kinds:
            raise OptionError(f"{shown} has no column {wanted}; it has {_some(kinds)}")
        if kinds[wanted] is None:
            raise OptionError(
                f"the column {wanted} of {shown} holds neither pictures (bytes) nor paths (text)"
            )
        return wanted, kinds[wanted] == "held"
    usual = {name.lower(): name for name in reversed(list(kinds))}
    for kind, names in (("held", _HELD), ("named", (*_NAMED, *_HELD))):
        for one in names:
            if one in usual and kinds[usual[one]] == kind:
                return usual[one], kind == "held"
    raise OptionError(
        f"{shown} has no column of pictures or addresses with a usual name: --column NAME says "
        f"which; it has {_some(kinds)}"
    )


def _kind(of: Any) -> str | None:
    """ "held": bytes, or datasets' {bytes, path}; "named": text; None: no picture."""
    from pyarrow import types

    if types.is_binary(of) or types.is_large_binary(of):
        return "held"
    if types.is_struct(of):
        inner = {of.field(number).name for number in range(of.num_fields)}
        return "held" if "bytes" in inner else None
    if types.is_string(of) or types.is_large_string(of):
        return "named"
    return None


def _some(names: dict[str, Any]) -> str:
    return ", ".join(list(names)[:12]) + (", …" if len(names) > 12 else "") or "none"
