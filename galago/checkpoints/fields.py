"""A configuration's fields, each read as the type that it must have, and refused by its name.

What galago doesn't do must not be passed over: a field that changes what a model computes has one
of the values that galago computes, or the model is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.errors import CheckpointError

__all__ = ["Fields"]


class Fields:
    """One object of a configuration: `values` of the file `path`. null counts as missing."""

    def __init__(self, path: Path, values: Any, name: str = "") -> None:
        self.path, self._name = path, name
        if not isinstance(values, dict):
            raise self._damaged(name or "the whole", values)
        self.values: Mapping[str, Any] = values

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number; CheckpointError without one and without a default."""
        value = self._given(key, default)
        if type(value) is not int:
            raise self._damaged(key, value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._given(key, default)
        if type(value) not in (int, float):
            raise self._damaged(key, value)
        try:
            return float(value)
        except OverflowError:
            raise self._damaged(key, value) from None

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._given(key, default)
        if not isinstance(value, bool):
            raise self._damaged(key, value)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._given(key, default)
        if not isinstance(value, str):
            raise self._damaged(key, value)
        return value

    def table(self, key: str, *, needed: bool = False) -> Fields:
        """A nested object, empty where it is missing."""
        return Fields(self.path, self._given(key, None if needed else {}), key)

    def only(self, key: str, *allowed: object, why: str = "") -> None:
        """CheckpointError for a field that is there and has another than one of these values."""
        value = self.values.get(key)
        if value is None or any(type(value) is type(one) and value == one for one in allowed):
            return
        shown = ", ".join(repr(one) for one in allowed)
        line = why or (f"only {shown}" if shown else "only models without it")
        raise CheckpointError(
            f"{self.path}: galago doesn't run {self._called(key)} {value!r:.80}: {line}"
        )

    def off(self, *keys: str) -> None:
        """CheckpointError for a field that switches something on."""
        for key in keys:
            if self.values.get(key):
                self.only(key)

    def _given(self, key: str, default: object) -> Any:
        value = self.values.get(key)
        value = default if value is None else value
        if value is None:
            raise CheckpointError(
                f"{self.path} is incomplete or damaged (it has no {self._called(key)})"
            )
        return value

    def _damaged(self, key: str, value: object) -> CheckpointError:
        return CheckpointError(
            f"{self.path} is incomplete or damaged ({self._called(key)} can't be {value!r:.80})"
        )

    def _called(self, key: str) -> str:
        return f"{key} of {self._name}" if self._name and key != self._name else key
