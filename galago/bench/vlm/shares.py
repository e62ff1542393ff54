"""The share of the machine's limits that a row reached."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

__all__ = ["Limits"]

_ORDER = ("fp32", "bf16", "int8")


class Limits:
    """The best of a report's roofline rows; a part without its limit or its costs has no share."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        self._rates: dict[str, float] = {}
        for name in _ORDER:
            row = rows.get(f"roofline/{name}")
            if row is not None:
                # What a narrower format can't do faster here is done in a wider one.
                rate = max(row["samples"]["gflops"])
                self._rates[name] = max([rate, *self._rates.values()])
        read = rows.get("roofline/read")
        self._read = max(read["samples"]["gigabytes_per_second"]) if read else None

    def shares(self, row: Mapping[str, Any]) -> dict[str, float]:
        """Of vision, prefill and decode, from 0 to 1 (above when the limit was measured low)."""
        samples, found = row["samples"], {}
        language, _, vision = str(row.get("precision", "")).partition("-")
        parts = (("vision", vision or language), ("prefill", language))
        for part, precision in parts:
            rate = self._rates.get("int8" if precision == "int4" else precision)
            work, took = row.get(f"{part}_gflop"), samples.get(part)
            if rate and work and took:
                found[part] = work / statistics.median(took) / rate
        tokens, read = samples.get("tokens_per_second"), row.get("token_bytes")
        if self._read and tokens and read:
            found["decode"] = statistics.median(tokens) * read / 1e9 / self._read
        return found
