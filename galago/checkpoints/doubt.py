"""What a model was taught, told from what it wasn't: a small file of numbers beside its weights.

A network trained on few things names one of them for whatever it is shown, and its own probability
says little: of pictures that it was never taught it is as sure as of those that it was (Nguyen et
al., https://arxiv.org/abs/1412.1897). Its features say more. They are centred and whitened by the
spread within the things that were taught, so that a distance is Mahalanobis' (Lee et al.,
https://arxiv.org/abs/1807.03888), and a logistic regression weighs them, the distance to the
nearest thing taught and the answer's own probabilities (Hendrycks et al.,
https://arxiv.org/abs/1812.04606: pictures of other things teach where the border is).

`python -m galago.train.nano.doubt` measures and writes the file (docs/doubt.md):

::

    doubt.tensors, metadata: format, identity
      middle     (D,)    F32   of the features
      whiten     (D, K)  F32   (features - middle) @ whiten has the spread 1 within a thing
      centres    (N, K)  F32   of the things taught
      weights    (K+1+A,) F32  of the whitened features, the distance, A figures of the answer
      bias, border  (1,) F32   of the regression; what is known less probably is doubted
      words      (M, W)  F32   unit rows of what was taught in words, in a smaller space
      word_space (D, W)  F32   into it
      word_border (1,)   F32   words less near than this cosine name nothing taught

The last three are of models that embed words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import NUMPY_TYPES, Array, Entry, Float, read_float
from galago.checkpoints.writing import write_runs
from galago.errors import CheckpointError, OptionError

__all__ = ["DOUBT", "Taught", "read_taught", "rounded", "write_taught"]

DOUBT = "doubt.tensors"
FORMAT = "1"
_LARGEST = 4 << 20  # bytes; the embedded models' have less than 0.2 MB


@dataclass(frozen=True, eq=False)
class Taught:
    """The file's numbers (see above), checked. `identity`: the model's that was measured."""

    identity: str
    middle: Float
    whiten: Float
    centres: Float
    weights: Float
    bias: float
    border: float
    words: Float | None = None
    word_space: Float | None = None
    word_border: float = 1.0

    @property
    def answers(self) -> int:
        """How many figures of an answer are weighed."""
        return len(self.weights) - int(self.whiten.shape[1]) - 1

    def signals(self, features: Float) -> Float:
        """What is weighed of a picture, float32 (K + 1,): whitened features, and how far it is from
        the nearest thing taught.

        `features`: (D,), or (tokens, D), of which the mean counts.
        """
        seen = features.mean(axis=0) if features.ndim == 2 else features
        placed = (seen - self.middle) @ self.whiten
        nearest = np.sqrt(np.square(self.centres - placed).sum(axis=1).min())
        return np.asarray(np.append(placed, nearest), np.float32)

    def known(self, features: Float, answer: Sequence[float] = ()) -> float:
        """How probably the model knows what it was shown, and answers rightly: 0 to 1.

        `answer`: its figures (galago.Stats.signals), `answers` of them or more.
        """
        if len(answer) < self.answers:
            raise OptionError(f"{self.answers} figures of an answer are needed, not {len(answer)}")
        weighed = np.append(self.signals(features), answer[: self.answers])
        logit = float(weighed.astype(np.float64) @ self.weights) + self.bias
        return 1 / (1 + math.exp(-min(max(logit, -500.0), 500.0)))

    def doubts(self, known: float) -> bool:
        """Whether what is known so probably is doubted."""
        return known < self.border

    def strange(self, rows: Float) -> list[bool]:
        """Whether texts, unit rows (n, D), name nothing that was taught; no text does where none
        was measured."""
        if self.words is None or self.word_space is None:
            return [False] * len(rows)
        return [bool(near < self.word_border) for near in self.nearness(rows)]

    def nearness(self, rows: Float) -> Float:
        """The largest cosine of texts, unit rows (n, D), with what was taught in words: (n,)."""
        assert self.words is not None and self.word_space is not None
        return np.asarray((rows @ self.word_space @ self.words.T).max(axis=1), np.float32)


def read_taught(folder: Path, identity: Callable[[], str]) -> Taught | None:
    """What was measured of the model in a folder; None where nothing was.

    Raises CheckpointError for a file that is damaged, or was measured with other weights than those
    whose `identity` this is.
    """
    path = folder / DOUBT
    if not path.exists():
        return None
    if path.stat().st_size > _LARGEST:
        raise _damaged(path, "it is too large")
    file = SafetensorsFile(path)
    if file.metadata.get("format") != FORMAT:
        raise _damaged(path, "it is of another format")
    found = _checked(path, {name: read_float(held) for name, held in file.tensors.items()})
    taught = Taught(str(file.metadata.get("identity", "")), **found)  # type: ignore[arg-type]
    if taught.identity != identity():
        raise CheckpointError(
            f"{path} was measured with other weights than these; measure again: "
            f"python -m galago.train.nano.doubt {folder}, or delete it"
        )
    return taught


def write_taught(folder: Path, taught: Taught) -> None:
    """Write `folder`/doubt.tensors; the larger tables in half precision (see `rounded`)."""
    arrays: dict[str, Float] = {name: getattr(taught, name) for name in (*_TABLES, "weights")}
    arrays |= {name: np.array([getattr(taught, name)], np.float32) for name in ("bias", "border")}
    if taught.words is not None:
        arrays |= {name: getattr(taught, name) for name in _WORDS}
        arrays["word_border"] = np.array([taught.word_border], np.float32)
    plan = {name: Entry(_kind(name), tuple(held.shape)) for name, held in arrays.items()}

    def runs(name: str, entry: Entry) -> list[Array]:
        return [arrays[name].astype(NUMPY_TYPES[entry.dtype])]

    write_runs(folder / DOUBT, plan, runs, {"format": FORMAT, "identity": taught.identity})


def rounded(name: str, values: Array) -> Float:
    """A table's numbers as they come back from the file."""
    return np.asarray(values.astype(NUMPY_TYPES[_kind(name)]), np.float32)


def _kind(name: str) -> str:
    return "F16" if name in (*_TABLES[1:], *_WORDS) else "F32"


_TABLES = ("middle", "whiten", "centres")
_WORDS = ("words", "word_space")
_SINGLE = ("bias", "border", "word_border")


def _checked(path: Path, held: dict[str, Float]) -> dict[str, Float | float]:
    """The fields of a Taught, single numbers as such; CheckpointError for what can't be one."""
    needed = {*_TABLES, "weights", "bias", "border"}
    worded = {*_WORDS, "word_border"}
    if set(held) not in (needed, needed | worded):
        raise _damaged(path, "it holds other tables")
    if not all(table.size and np.isfinite(table).all() for table in held.values()):
        raise _damaged(path, "some of it is no number")
    sizes = {name: table.shape for name, table in held.items()}
    width, kept = sizes["whiten"] if len(sizes["whiten"]) == 2 else (0, 0)
    fits = (
        sizes["middle"] == (width,)
        and sizes["centres"] == (len(held["centres"]), kept)
        and len(sizes["weights"]) == 1
        and kept < len(held["weights"]) <= kept + 1 + _ANSWERS
        and all(sizes[name] == (1,) for name in held if name in _SINGLE)
    )
    if fits and "words" in held:
        fits = sizes["word_space"] == (width, *sizes["words"][1:]) and len(sizes["words"]) == 2
    if not fits:
        raise _damaged(path, "its tables don't fit each other")
    return {name: float(t[0]) if name in _SINGLE else t for name, t in held.items()}


_ANSWERS = 8  # figures of an answer, at most


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged ({why}); measure again: "
        f"python -m galago.train.nano.doubt {path.parent}, or delete it"
    )
