"""What is looked for, as people say it and as vectors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from galago.album.embedder import Embedder
from galago.album.ranking import Part
from galago.media.images import Source

__all__ = ["Want", "parts_of"]


@dataclass(frozen=True)
class Want:
    """A part of what is looked for: words or a picture, wanted or not, and how much it counts."""

    words: str | None = None
    picture: Source | None = None
    wanted: bool = True
    weight: float = 1.0


def parts_of(
    wants: Sequence[Want], model: Embedder, lock: threading.Lock
) -> tuple[list[Part], Sequence[str]]:
    """The vectors of what is looked for, and what of the words the model was never taught.

    `lock` is held while the model works.  Raises ImageError for a picture that can't be read.
    """
    # Decoded before the model is taken: others may use it meanwhile.
    pictured = [want for want in wants if want.picture is not None]
    prepared = [model.prepare(want.picture) for want in pictured if want.picture is not None]
    said = [want for want in wants if want.words is not None]
    texts = [want.words for want in said if want.words is not None]
    with lock:
        rows = list(model.embed_texts(texts)) if texts else []
        seen = [model.embed_pixels(pixels[None])[0] for pixels in prepared]
    strange = model.strange(texts, np.stack(rows)) if rows else []
    parts = [
        Part(row, "words", want.wanted, want.weight) for row, want in zip(rows, said, strict=True)
    ]
    parts += [
        Part(row, "picture", want.wanted, want.weight)
        for row, want in zip(seen, pictured, strict=True)
    ]
    return parts, strange
