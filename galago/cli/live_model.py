"""A second, quick FastVLM for live pictures, where the best one here is a larger one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from galago.cli.options import Opening
from galago.errors import ModelError

if TYPE_CHECKING:
    from galago.media.pool import PicturePool
    from galago.vlm.fastvlm import FastVLM

__all__ = ["LiveModel", "live_beside"]

_CACHES = 2  # a page or two that look


class LiveModel:
    """Opened when it is first asked, if the memory is still there."""

    def __init__(self, name: str, opening: Opening, pool: PicturePool) -> None:
        self.name = name
        self._opening, self._pool = opening, pool

    def load(self) -> FastVLM:
        """ModelError when there is no memory for it any more; GalagoError for bad files."""
        if _quickest(self._opening) != self.name:
            raise ModelError(f"the free memory doesn't hold {self.name} any more")
        vlm = replace(self._opening, model=self.name).load(pool=self._pool)
        vlm.keep_caches(_CACHES)
        return vlm


def live_beside(vlm: FastVLM, opening: Opening, pool: PicturePool) -> LiveModel | None:
    """The quickest model here, which fits beside the one in memory; None where that is the one.

    Who named a model gets that one alone.
    """
    if opening.model is not None:
        return None
    name = _quickest(opening)
    return None if name is None or name == vlm.name else LiveModel(name, opening, pool)


def _quickest(opening: Opening) -> str | None:
    """Of the models here the quickest that the free memory holds; None where none was to choose."""
    from galago.convert.choice import choose_fastvlm

    choice = choose_fastvlm(opening.precision, quickest=True)
    return choice.name if choice.why == "best" else None
