"""What a person might like to know of their computer, told once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from galago.cli.terminal import say
from galago.errors import StorageError
from galago.places import cache_dir

if TYPE_CHECKING:
    from galago.vlm.fastvlm import FastVLM

__all__ = ["resolution_hint", "suggest_resolution"]

_LARGE = 1024  # the side of Apple's models; the embedded one looks at fewer pixels
# docs/performance-avx2.md, first tokens of 0.5B in int8 at 1024 and 512 px.
_MEASURED = (
    "on two cores with AVX2, FastVLM-0.5B's shape gives its first token after 1.8 s at 512 px, "
    "after 5.6 s at 1024"
)
_told = False


def resolution_hint() -> str | None:
    """What --resolution auto would gain on this processor; None where there is no need of it."""
    from galago.engine.processor import is_lean

    if not is_lean():
        return None
    return (
        "this processor has neither VNNI nor AVX-512: --resolution auto looks at pictures that "
        f"show little in fewer pixels ({_MEASURED}); sharp large ones are seen as before"
    )


def suggest_resolution(vlm: FastVLM) -> None:
    """That line on stderr, for a model that looks at 1024 px, once in the life of galago's cache.

    For whoever chose a resolution or another device it isn't meant.
    """
    global _told
    if _told or vlm.spec.image.side < _LARGE or (line := resolution_hint()) is None:
        return
    _told = True
    with contextlib.suppress(OSError, StorageError):  # then once in each process
        mark = cache_dir() / "told" / "resolution"
        if mark.exists():
            return
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    say(f"note: {line} (said once)")
