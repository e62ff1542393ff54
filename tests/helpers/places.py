"""Where things of the tests lie, wherever the test stands that asks."""

from __future__ import annotations

from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
DATA = TOP / "tests" / "data"
