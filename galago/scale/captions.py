"""What a FastVLM says of a picture, and what is written there: two columns of its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from galago.progress import Progress
from galago.vlm.fastvlm import FastVLM
from galago.vlm.reading import TextReader
from galago.vlm.reply import Prepared
from galago.vlm.sampling import SamplingOptions

if TYPE_CHECKING:
    from galago.media.pool import PicturePool

__all__ = ["Speaking"]


class Speaking:
    """A FastVLM that is asked one question about each picture, reads it, or both."""

    def __init__(self, model: FastVLM, prompt: str, read: bool) -> None:
        self._model, self._prompt = model, prompt
        self._reader = TextReader(model) if read else None
        self.name = f"{model.name} {model.identity}"

    @classmethod
    def load(cls, work: Any, pool: PicturePool, progress: Progress | None) -> Speaking:
        """The captioner of a `Work`; raises as FastVLM.load does."""
        offline = work.offline or None
        model = FastVLM.load(
            work.captioner, offline=offline, threads=work.threads, progress=progress, pool=pool
        )
        return cls(model, work.prompt, work.read)

    def prepare(self, picture: bytes) -> Prepared:
        """Opened for `describe`; ImageError."""
        return self._model.prepare(picture)

    def describe(self, prepared: Prepared) -> tuple[str | None, float | None, str | None]:
        """A caption and its confidence, and what is written there; None for what isn't asked."""
        caption, confidence = None, None
        image = self._model.encode(prepared)
        if self._prompt:
            chunks = list(self._model.stream(image, self._prompt, SamplingOptions()))
            caption = "".join(chunk.text for chunk in chunks).strip()
            stats = chunks[-1].stats
            confidence = stats.confidence if stats else None
        text = None if self._reader is None else self._reader.read(image)
        return caption, confidence, text
