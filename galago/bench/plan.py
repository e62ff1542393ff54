"""What is measured: the machine's limits, FastVLM and MobileCLIP beside their peers, the field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from galago.bench.clip import rows as clip
from galago.bench.field import rows as field
from galago.bench.jobs import FIELD, Job, Row, Settings
from galago.bench.vlm import rows as vlm

__all__ = ["chosen", "rows"]


def rows(settings: Settings) -> list[Row]:
    """Every row of a run, in the order of measuring."""
    return [*_machine(settings), *vlm.rows(settings), *clip.rows(settings), *field.rows(settings)]


def chosen(every: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """Rows whose names begin with one of `wanted`; all but the field's when nothing is wanted.

    The field's are of other people's models, and take hours more.
    """
    if not wanted:
        return [row for row in every if not row.name.startswith(FIELD)]
    return [row for row in every if row.name.startswith(tuple(wanted))]


def _machine(settings: Settings) -> Iterator[Row]:
    base = {"threads": settings.threads, "runs": 12}
    for precision in ("fp32", "bf16", "int8"):
        job = Job("roofline.product", base | {"precision": precision})
        yield Row(f"roofline/{precision}", job, ours=False)
    yield Row("roofline/read", Job("roofline.read", base), ours=False)
