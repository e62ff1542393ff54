"""MobileCLIP's towers, galago's and those of peers: pictures and texts a second.

Texts are timed from strings on, pictures from pixel values on; both end in unit vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from galago.checkpoints.tensors import Float
from galago.clip.mobileclip import MobileCLIP
from galago.errors import ModelError
from galago.memory import peak_memory

__all__ = ["galago", "measured", "pixels", "timed", "words"]

Options = Mapping[str, Any]
Clock = Callable[[], float]
LEAST = 3  # timed steps, however long one takes
# The processor's time is hardly longer when other programs run.
CLOCKS: Mapping[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def galago(options: Options) -> dict[str, Any]:
    """The towers of `MobileCLIP`."""
    started = time.perf_counter()
    clip = MobileCLIP.load(
        options["model"],
        precision=options["precision"],
        threads=options["threads"],
        offline=True,
        device=options.get("device"),
    )
    side = clip.spec.image.side
    found = measured(clip.embed_pixels, clip.embed_texts, side, options, started)
    if clip.refused:  # these are the CPU's figures
        raise ModelError("; ".join(clip.devices))
    return found | {"precision": clip.precision, "peak_bytes": peak_memory()}


def measured(
    images: Callable[[Float], Float],
    texts: Callable[[list[str]], Float],
    side: int,
    options: Options,
    started: float,
) -> dict[str, Any]:
    """Both towers' rates; `started` is when loading began. ModelError for what is no unit vector.

    `pictures` and `texts` at once, for `seconds` by `clock`, which is "wall" or "cpu".
    """
    given, said = pixels(options["pictures"], side), words(options["texts"])
    for rows in (images(given), texts(said)):
        spread = np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1).max()
        if not spread < 0.02:
            raise ModelError(f"no unit vectors: {spread:.3g} from a length of 1")
    start = time.perf_counter() - started
    samples = {
        "start": [start],
        "images_per_second": _rates(lambda: images(given), len(given), options),
        "texts_per_second": _rates(lambda: texts(said), len(said), options),
    }
    return {"clock": options["clock"], "samples": samples}


def pixels(count: int, side: int) -> Float:
    """(count, 3, side, side) of what a photo's values are like."""
    coarse = np.random.default_rng(0).random((count, 3, side // 8, side // 8), dtype=np.float32)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def words(count: int) -> list[str]:
    """Up to 20 queries such as people type, each another one."""
    things = ("a dog", "two children", "an old red car", "my passport", "a birthday cake")
    places = ("on a beach", "in the snow", "at night in Lisbon", "beside a lake in autumn")
    return [f"{thing} {place}" for place in places for thing in things][:count]


def timed(step: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Seconds of a step."""
    start = clock()
    step()
    return clock() - start


def _rates(step: Callable[[], object], count: int, options: Options) -> list[float]:
    """How many of `count` a step are done in a second, step by step; the first warms up."""
    step()
    times: list[float] = []
    while len(times) < LEAST or sum(times) < options["seconds"]:
        times.append(timed(step, CLOCKS[options["clock"]]))
    return [count / seconds for seconds in times]
