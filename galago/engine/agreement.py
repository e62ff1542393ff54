"""Does a device say what the CPU says? Asked once for each device, driver and model, and kept.

The weights are the same on both sides; only the arithmetic differs. So a few pictures and a passage
of text are enough, and the bounds are those of the arithmetic: float32 against float32 where both
compute in it, half the width otherwise.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galago.checkpoints.tensors import Float
from galago.disk import keep_newest, read_json, whole_file
from galago.engine.runtime import ov
from galago.errors import CheckpointError
from galago.version import __version__

__all__ = ["EXACT", "HALF", "Agreement", "Kept", "compare_rows", "row_cosines"]

# The least cosines, on average and of any row, between float32 and itself, and half the width.
EXACT, HALF = (0.9999, 0.999), (0.99, 0.95)
_KEPT = 64  # files


@dataclass(frozen=True)
class Agreement:
    """What came of comparing a part of a model (`what`) on a device, the figures in words."""

    what: str
    device: str
    passed: bool
    figures: str

    def sentence(self) -> str:
        """One line for people."""
        if self.passed:
            return f"{self.what} on {self.device} agrees with the CPU: {self.figures}"
        return f"{self.what} on {self.device} strays from the CPU ({self.figures}): the CPU is used"


@dataclass(frozen=True)
class Kept:
    """Agreements in `folder`, None for nowhere; `made_from` is what they depend on, by its repr."""

    folder: Path | None
    made_from: tuple[object, ...]

    @classmethod
    def of_weights(cls, folder: Path | None, made_from: object) -> Kept:
        """Those of a model's weights, as long as galago and the engine are the same."""
        return cls(folder, (__version__, ov.get_version(), made_from))

    def of(self, what: str, device: tuple[object, ...]) -> Agreement | None:
        """What was found before of this part on this device (Device.identity)."""
        path = self._path(what, device)
        if path is None:
            return None
        try:
            found = Agreement(**read_json(path))
        except (CheckpointError, TypeError):  # none, or none of ours
            return None
        typed = isinstance(found.passed, bool) and isinstance(found.figures, str)
        return found if typed and found.what == what else None

    def keep(self, found: Agreement, device: tuple[object, ...]) -> None:
        """For the next time, where it can be written."""
        path = self._path(found.what, device)
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                file.write(json.dumps(dataclasses.asdict(found)).encode())
            keep_newest(path.parent, "*.json", _KEPT)

    def _path(self, what: str, device: tuple[object, ...]) -> Path | None:
        if self.folder is None:
            return None
        key = repr((what, device, self.made_from)).encode()
        return self.folder / f"{hashlib.blake2b(key, digest_size=16).hexdigest()}.json"


def compare_rows(
    what: str, device: str, pairs: Sequence[tuple[Float, Float]], *, exact: bool
) -> Agreement:
    """Of rows (n, D): the CPU's and the device's, such as a picture's tokens."""
    least_mean, least_of_any = EXACT if exact else HALF
    found = np.concatenate([row_cosines(*pair) for pair in pairs])
    mean, least = float(found.mean()), float(found.min())
    passed = mean >= least_mean and least >= least_of_any  # False for NaN, too
    return Agreement(what, device, passed, f"cosine {mean:.4f}, least {least:.4f}")


def row_cosines(a: Float, b: Float) -> Float:
    """Cosine of each row of two arrays (n, D)."""
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(-1) / np.maximum(norms, 1e-12), dtype=np.float32)
