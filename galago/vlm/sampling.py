"""How the next token is chosen: options in, one function out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.errors import ModelError, OptionError
from galago.vlm.forms import Form

__all__ = ["ConfidenceSampler", "Logits", "Sampler", "SamplingOptions", "make_sampler"]

Logits = NDArray[np.float32]  # (vocab,)
Weights = NDArray[np.float64]
Places = NDArray[np.intp]
Sampler = Callable[[Logits], int]

_CANDIDATES = 1024  # sorting these first spares sorting 150,000 logits at every step


@dataclass(frozen=True)
class SamplingOptions:
    """How a reply is generated.

    temperature: 0 takes the likeliest token; above, draws, more evenly the higher it is.
    top_p: draws among the likeliest tokens that together hold this much probability (0 < p <= 1).
    top_k: draws among the k likeliest; 0 leaves it out.
    min_p: draws among those at least this share as likely as the likeliest (0 to 1); 0: all.
    repetition_penalty: divides the logit of what the reply has said by this (multiplies one below
    0), 0.1 to 10; above 1 it repeats itself less, 1 leaves it out. Counts at temperature 0 too.
    seed: the same seed draws the same reply; None draws a new one each time.
    max_tokens: at most so many tokens.
    stop: the reply ends before the first of these strings.
    keep_repetition: a reply that goes round in circles goes on to max_tokens; else it is ended
    after 128 tokens of it (galago/vlm/loops.py) and cut where it began to repeat itself.
    form: what the reply must look like, such as JSON of a schema (galago/vlm/forms.py).
    logprobs: chunks tell how likely their tokens were, and so many of the likeliest others (0 to
    20); None tells nothing.

    Raises OptionError for values outside these ranges.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    keep_repetition: bool = False
    form: Form | None = None
    logprobs: int | None = None

    def __post_init__(self) -> None:
        for name, possible, ranges in (
            ("temperature", _within(self.temperature, 0), "use 0 or more"),
            ("top-p", _within(self.top_p, 0, 1) and self.top_p, "use more than 0, at most 1"),
            ("top-k", _is_count(self.top_k), "use a whole number from 0"),
            ("min-p", _within(self.min_p, 0, 1), "use 0 to 1"),
            ("repetition penalty", _within(self.repetition_penalty, 0.1, 10), "use 0.1 to 10"),
            ("max tokens", _is_count(self.max_tokens), "use 0 or more"),
            (
                "logprobs",
                self.logprobs is None or (_is_count(self.logprobs) and self.logprobs <= 20),
                "use a whole number from 0 to 20",
            ),
            ("seed", self.seed is None or _is_count(self.seed), "use a whole number from 0"),
        ):
            if not possible:
                value = getattr(self, re.sub("[ -]", "_", name))
                raise OptionError(f"{name} {value!r} is not possible: {ranges}")
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        if not all(isinstance(text, str) and text for text in stop):
            raise OptionError("a stop string is empty; leave it out or give some text")
        object.__setattr__(self, "stop", stop)


def _within(value: object, low: float, high: float = math.inf) -> bool:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    try:
        return number and low <= float(value) <= high and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:  # a whole number beyond all floats
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def make_sampler(options: SamplingOptions) -> Sampler:
    """A function from logits, float32 (vocab,), to the next id; with its own random numbers.

    It remembers what it chose, for the penalty: make one for each reply.  The function raises
    ModelError when the logits aren't numbers.
    """
    choose = _greedy if options.temperature == 0 else _drawing(options)
    penalty = options.repetition_penalty
    return choose if penalty == 1 else _penalised(choose, penalty)


def _drawing(options: SamplingOptions) -> Sampler:
    random = np.random.default_rng(options.seed)

    def sample(logits: Logits) -> int:
        _greedy(logits)  # refuses what isn't a number
        scaled = logits.astype(np.float64)
        # The peak becomes 0: whatever the temperature, it stays, and others at most vanish.
        with np.errstate(over="ignore"):
            scaled = (scaled - scaled.max()) / options.temperature
        ids, weights = _candidates(np.exp(scaled), options)
        cumulative = np.cumsum(weights)
        drawn = int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))
        # Rounded up to all of it, still the last that is possible.
        drawn = min(drawn, int(np.searchsorted(cumulative, cumulative[-1])))
        return drawn if ids is None else int(ids[drawn])

    return sample


def _penalised(choose: Sampler, penalty: float) -> Sampler:
    """As CTRL has it, https://arxiv.org/abs/1909.05858 (4.1); of the reply, not of the prompt."""
    said: list[int] = []

    def sample(logits: Logits) -> int:
        again = logits[said]
        logits = logits.copy()
        logits[said] = np.where(again > 0, again / penalty, again * penalty)
        chosen = choose(logits)
        if chosen not in said:
            said.append(chosen)
        return chosen

    return sample


class ConfidenceSampler:
    """A sampler that remembers how likely what it chose was, among what could be chosen."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._log_sum = 0.0
        self._least = 0.0
        self._count = 0

    def __call__(self, logits: Logits) -> int:
        chosen = self._sampler(logits)
        above = logits - logits[chosen]
        peak = float(above.max())
        log_probability = -peak - math.log(float(np.exp(above - peak).sum()))
        self._log_sum += log_probability
        self._least = min(self._least, log_probability)
        self._count += 1
        return chosen

    @property
    def confidence(self) -> float:
        """The geometric mean of the choices' probabilities, 0 to 1; 1 before the first."""
        return math.exp(self._log_sum / self._count) if self._count else 1.0

    @property
    def least(self) -> float:
        """The probability of the choice that was the least probable; 1 before the first."""
        return math.exp(self._least)


def _greedy(logits: Logits) -> int:
    best = int(np.argmax(logits))
    if not np.isfinite(logits[best]):  # NaN wins every argmax
        raise ModelError(
            "the model computed something that is not a number; try --precision fp32, "
            "and if that doesn't help fetch the model again"
        )
    return best


def _candidates(weights: Weights, options: SamplingOptions) -> tuple[Places | None, Weights]:
    """Ids (None: all, in order) and weights, the largest of which is 1, of what may be drawn.

    Narrowed in the order of transformers' warpers: top-k, of these top-p, of these min-p.
    """
    ids: Places | None = None
    narrowing: list[Callable[[Weights], Places]] = []
    if 0 < options.top_k < len(weights):
        narrowing.append(lambda some: _top(some, options.top_k))
    if options.top_p < 1:
        narrowing.append(lambda some: _nucleus(some, options.top_p))
    if options.min_p > 0:
        narrowing.append(lambda some: np.flatnonzero(some >= options.min_p))
    for narrow in narrowing:
        kept = narrow(weights)
        ids = kept if ids is None else ids[kept]
        weights = weights[kept]
    return ids, weights


def _top(weights: Weights, count: int) -> Places:
    """Places of the `count` largest, ties in order, none that is 0."""
    count = min(count, len(weights))
    least = np.partition(weights, -count)[-count]
    large = np.flatnonzero((weights >= least) & (weights > 0))
    return large[np.argsort(-weights[large], kind="stable")][:count]


def _nucleus(weights: Weights, top_p: float) -> Places:
    """Places of the largest weights that together reach `top_p` of all, largest first.

    Nucleus sampling, https://arxiv.org/abs/1904.09751: the smallest such set, never empty.
    """
    wanted = top_p * weights.sum()
    for count in (_CANDIDATES, len(weights)):
        likeliest = _top(weights, count)
        reached = np.cumsum(weights[likeliest])
        if reached[-1] >= wanted:
            break
    return likeliest[: int(np.searchsorted(reached, wanted, side="left")) + 1]
