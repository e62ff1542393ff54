"""Rows as Arrow has them: the schema of OUT, and record batches of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galago.scale.rows import COLUMNS, Batch, Made

__all__ = ["KEY", "schema_of", "table_of"]

KEY = b"galago"  # of the schema's metadata: Made.to_json


def schema_of(made: Made) -> Any:
    """The schema, a pyarrow.Schema, with what the rows have in common in its metadata."""
    import pyarrow as pa

    number = pa.float16() if made.vectors == "float16" else pa.float32()
    kinds = {
        "text": pa.string(), "bytes": pa.binary(), "integer": pa.int64(), "short": pa.int32(),
        "time": pa.timestamp("us", "UTC"), "number": pa.float32(),
        "name": pa.dictionary(pa.int32(), pa.string()), "vector": pa.list_(number, made.dim),
    }  # fmt: skip
    fields = [pa.field(name, kinds[kind]) for name, (kind, _) in COLUMNS.items()]
    return pa.schema(fields, metadata={KEY: made.to_json().encode()})


def table_of(batches: Sequence[Batch], made: Made) -> Any:
    """Rows as a pyarrow.Table."""
    import pyarrow as pa

    schema = schema_of(made)
    rows = [row for batch in batches for row in batch.rows]
    precisions = [batch.precision or None for batch in batches for _ in batch.rows]
    paths = [row.path() for row in rows]
    columns: dict[str, Any] = {
        "path": [path for path, _ in paths],
        "path_bytes": [exact for _, exact in paths],
        "model": [made.model] * len(rows),
        "identity": [made.identity] * len(rows),
        "precision": precisions,
        "captioner": [made.captioner or None] * len(rows),
    }
    width = np.float16 if made.vectors == "float16" else np.float32
    vectors = np.zeros((len(rows), made.dim), width)
    absent = np.array([row.vector is None for row in rows])
    for number, row in enumerate(rows):
        if row.vector is not None:
            vectors[number] = row.vector
    values = pa.array(vectors.reshape(-1))
    columns["vector"] = pa.FixedSizeListArray.from_arrays(values, made.dim, mask=pa.array(absent))
    arrays = []
    for field in schema:
        given = columns.get(field.name)
        if given is None:
            given = [getattr(row, field.name) for row in rows]
        arrays.append(given if isinstance(given, pa.Array) else pa.array(given, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
