"""How the next token is chosen: options in, one function out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.errors import ModelError, OptionError

__all__ = ["ConfidenceSampler", "Sampler", "SamplingOptions", "make_sampler"]

Sampler = Callable[[NDArray[np.float32]], int]

_CANDIDATES = 1024  # sorting these first spares sorting 150,000 logits at every step


@dataclass(frozen=True)
class SamplingOptions:
    """How a reply is generated.

    temperature: 0 takes the likeliest token; above, draws, more evenly the higher it is.
    top_p: draws among the likeliest tokens that together hold this much probability (0 < p <= 1).
    seed: the same seed draws the same reply; None draws a new one each time.
    max_tokens: at most so many tokens.
    stop: the reply ends before the first of these strings.

    Raises OptionError for values outside these ranges.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int = 256
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _is_number(self.temperature) or self.temperature < 0:
            raise OptionError(f"temperature {self.temperature!r} is not possible: use 0 or more")
        if not _is_number(self.top_p) or not 0 < self.top_p <= 1:
            raise OptionError(f"top-p {self.top_p!r} is not possible: use more than 0, at most 1")
        if not _is_count(self.max_tokens):
            raise OptionError(f"max tokens {self.max_tokens!r} is not possible: use 0 or more")
        if self.seed is not None and not _is_count(self.seed):
            raise OptionError(f"seed {self.seed!r} is not possible: use a whole number from 0")
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        if not all(isinstance(text, str) and text for text in stop):
            raise OptionError("a stop string is empty; leave it out or give some text")
        object.__setattr__(self, "stop", stop)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def make_sampler(options: SamplingOptions) -> Sampler:
    """A function from logits, float32 (vocab,), to the next id; with its own random numbers.

    The function raises ModelError when the logits aren't numbers.
    """
    if options.temperature == 0:
        return _greedy
    random = np.random.default_rng(options.seed)

    def sample(logits: NDArray[np.float32]) -> int:
        _greedy(logits)  # refuses what isn't a number
        scaled = logits.astype(np.float64)
        # Taking the peak off before dividing keeps tiny temperatures from overflowing.
        scaled = (scaled - scaled.max()) / options.temperature
        ids, weights = _nucleus(scaled, options.top_p)
        cumulative = np.cumsum(weights)
        drawn = int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))
        drawn = min(drawn, len(weights) - 1)
        return drawn if ids is None else int(ids[drawn])

    return sample


class ConfidenceSampler:
    """A sampler that remembers how likely what it chose was."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._log_sum = 0.0
        self._count = 0

    def __call__(self, logits: NDArray[np.float32]) -> int:
        chosen = self._sampler(logits)
        above = logits - logits[chosen]
        peak = float(above.max())
        self._log_sum -= peak + math.log(float(np.exp(above - peak).sum()))
        self._count += 1
        return chosen

    @property
    def confidence(self) -> float:
        """The geometric mean of the choices' probabilities, 0 to 1; 1 before the first."""
        return math.exp(self._log_sum / self._count) if self._count else 1.0


def _greedy(logits: NDArray[np.float32]) -> int:
    best = int(np.argmax(logits))
    if not np.isfinite(logits[best]):  # NaN wins every argmax
        raise ModelError(
            "the model computed something that is not a number; try --precision fp32, "
            "and if that doesn't help fetch the model again"
        )
    return best


def _nucleus(
    scaled: NDArray[np.float64], top_p: float
) -> tuple[NDArray[np.intp] | None, NDArray[np.float64]]:
    """Ids (None: all, in order) and weights of the likeliest tokens that together reach `top_p`.

    Nucleus sampling, https://arxiv.org/abs/1904.09751: the smallest such set, never empty.
    """
    weights = np.exp(scaled)
    if top_p >= 1:
        return None, weights
    wanted = top_p * weights.sum()
    for count in (_CANDIDATES, len(weights)):
        count = min(count, len(weights))
        likeliest = np.argpartition(-weights, count - 1)[:count]
        # Ties in the order of ids, so that the set doesn't depend on how they were partitioned.
        likeliest = likeliest[np.lexsort((likeliest, -weights[likeliest]))]
        reached = np.cumsum(weights[likeliest])
        if reached[-1] >= wanted:
            break
    kept = min(int(np.searchsorted(reached, wanted, side="left")) + 1, len(likeliest))
    return likeliest[:kept], weights[likeliest[:kept]]
