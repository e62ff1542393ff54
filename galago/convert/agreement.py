"""Does a device say what the CPU says? Asked once for each device, driver and model, and kept.

The weights are the same on both sides; only the arithmetic differs. So the pictures and the passage
of the self-check are enough, and the bounds are those of the arithmetic: float32 against float32
where both compute in it, half the width otherwise. A decoder is fed the ways an answer feeds it: a
prompt, single tokens, and again behind a cache that was cut back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float
from galago.convert.selfcheck import BOUNDS, Bounds, judge_by, row_cosines
from galago.disk import keep_newest, read_json, whole_file
from galago.errors import CheckpointError

__all__ = ["Agreement", "Kept", "compare_rows", "compare_words"]

_STEPS = 8  # single tokens, and as many behind a cache that was cut back
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
    bounds = BOUNDS["fp32" if exact else "bf16"]
    found = np.concatenate([row_cosines(*pair) for pair in pairs])
    mean, least = float(found.mean()), float(found.min())
    passed = mean >= bounds.cosine_mean and least >= bounds.cosine_min  # False for NaN, too
    return Agreement(what, device, passed, f"cosine {mean:.4f}, least {least:.4f}")


class _Cache(Protocol):
    length: int

    def append(self, inputs_embeds: Float) -> Float: ...
    def append_all(self, inputs_embeds: Float) -> Float: ...
    def truncate(self, length: int) -> None: ...


class _Decoder(Protocol):
    def embed(self, ids: npt.ArrayLike) -> Float: ...
    def new_cache(self) -> _Cache: ...


def compare_words(
    what: str,
    device: str,
    ours: _Decoder,
    theirs: _Decoder,
    features: Float,
    ids: Sequence[int],
    bounds: Bounds,
) -> Agreement:
    """Of next tokens behind a picture's `features` (T, hidden) and the words `ids`."""
    words = ours.embed(ids)
    pairs = list(zip(*(_said(one, features, words) for one in (ours, theirs)), strict=True))
    free = dataclasses.replace(bounds, cosine_mean=0.0, cosine_min=0.0)  # there are no features
    found = judge_by([], pairs, free)
    figures = f"next tokens {found.top1:.1%} of {found.decided} the same, KL {found.kl:.4f}"
    return Agreement(what, device, found.passed, figures)


def _said(decoder: _Decoder, features: Float, words: Float) -> list[Float]:
    """Logits (n, vocab) at the words fed as a prompt, as single tokens, and after a cut."""
    cache = decoder.new_cache()
    steps = min(_STEPS, len(words) - 1)
    start = len(features) + len(words) - steps
    prompt = np.concatenate([features, words])[:start]
    feed: Callable[[Float], Float] = cache.append_all
    behind = feed(prompt)[len(features) :]
    last = words[len(words) - steps :]
    single = [cache.append(one[None])[None] for one in last]
    cache.truncate(start)
    again = feed(last) if steps else behind
    return [behind, *single, again]
