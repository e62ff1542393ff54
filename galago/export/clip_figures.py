"""How near exported towers come to their source: vectors of pictures and words.

Cosines between the exported vectors and the source's in float32, of the
self-check's pictures and of everyday phrases (galago/album/match.py uses the same), and whether
each picture prefers the same phrase.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float
from galago.convert.selfcheck import PASSAGE, PICTURES
from galago.engine.clip_sessions import ImageTower, TextTower
from galago.errors import ExportError
from galago.media.images import load_square
from galago.media.preprocess import normalise
from galago.text.clip_tokens import load_clip_tokenizer

__all__ = ["ClipProof", "Seen", "compared_vectors", "seen_by"]

# The least cosine with the source; weights in int8 move a vector by a few thousandths.
_LEAST = {"fp32": 1 - 1e-5, "fp16": 0.999, "int8": 0.98, "q8": 0.98}
# Short and long, plain and odd; the passage is longer than some contexts.
_TEXTS = (
    "a photo of a dog",
    "a photo of a cat",
    "a sheet of paper with a short note on it",
    "a hand holding up three fingers",
    "a red dress on a hanger",
    "a strawberry",
    "the beach at sunset, 1999",
    "!",
    PASSAGE,
)


@dataclass(frozen=True)
class Seen:
    """What goes into the towers and what the source makes of it, unit rows."""

    pixels: Float  # (pictures, 3, side, side)
    ids: NDArray[np.int64]  # (texts, context)
    images: Float
    texts: Float


@dataclass(frozen=True)
class ClipProof:
    """Figures of one dtype: least cosines, and how many pictures prefer the same text."""

    dtype: str
    image_cosine: float
    text_cosine: float
    same: int
    asked: int

    @property
    def passed(self) -> bool:
        return min(self.image_cosine, self.text_cosine) >= _LEAST[self.dtype]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"passed": self.passed}

    def sentence(self) -> str:
        """One line for people."""
        verdict = "passed" if self.passed else "FAILED"
        return (
            f"{self.dtype}: {verdict}: least cosine of pictures {self.image_cosine:.6f}, of texts "
            f"{self.text_cosine:.6f}, {self.same} of {self.asked} pictures prefer the same text"
        )


def seen_by(source: ClipCheckpoint) -> Seen:
    """The source's own vectors in float32."""
    spec = source.spec
    squares = [load_square(path, spec.image) for path in sorted(PICTURES.glob("*.webp"))]
    pixels = np.stack([normalise(square.pixels, spec.image) for square in squares])
    ids = load_clip_tokenizer(spec.text.vocab)(_TEXTS, spec.text.context)
    images, texts = ImageTower(source, "fp32")(pixels), TextTower(source, "fp32")(ids)
    return Seen(pixels, ids, _unit(images), _unit(texts))


def compared_vectors(dtype: str, seen: Seen, images: Float, texts: Float) -> ClipProof:
    """The figures of one dtype's vectors, in the order of `seen`.

    ExportError when they stray: the export must not be kept.
    """
    images, texts = _unit(images), _unit(texts)
    best, ours = (seen.images @ seen.texts.T).argmax(1), (images @ texts.T).argmax(1)
    proof = ClipProof(
        dtype,
        _least(seen.images, images),
        _least(seen.texts, texts),
        int((best == ours).sum()),
        len(best),
    )
    if not proof.passed:
        raise ExportError(f"the export strays from its source and was not kept: {proof.sentence()}")
    return proof


def _least(a: Float, b: Float) -> float:
    """0 when anything isn't a number, so that it fails."""
    found = float((a * b).sum(-1).min())
    return found if np.isfinite(found) else 0.0


def _unit(rows: Float) -> Float:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)
