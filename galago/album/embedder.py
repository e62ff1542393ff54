"""What an album asks of the model that makes its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from galago.media.images import Source

__all__ = ["Embedder", "Float"]

Float = NDArray[np.float32]


class Embedder(Protocol):
    """galago.MobileCLIP is one.

    `identity` tells its vectors from another model's; `name` is for people.  `prepare` and
    `prepare_dated` are called from several threads at once, the others from one.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def prepare(self, picture: Source, *, name: str | None = None) -> Float:
        """Pixel values of a picture, any fixed shape; ImageError when it can't be read."""
        ...

    def prepare_dated(self, picture: Source, *, name: str | None = None) -> tuple[Float, str]:
        """As prepare, and when the picture was taken, as `galago.media.images.Square` has it."""
        ...

    def embed_pixels(self, pixel_values: Float) -> Float:
        """Unit rows, float32 (n, dim), of n prepared pictures."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Float:
        """Unit rows, float32 (n, dim), of texts."""
        ...

    def embed_phrases(self, texts: Sequence[str]) -> Float:
        """As embed_texts, of texts that are the same for every album: they may be kept."""
        ...

    def strange(self, texts: Sequence[str], rows: Float) -> list[str]:
        """Those texts, whose rows these are, that name nothing the model was taught."""
        ...
