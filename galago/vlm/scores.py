"""How likely the tokens of a reply were, told with the text that they make up."""

from __future__ import annotations

from collections import deque

import numpy as np

from galago.text.tokens import Tokenizer
from galago.vlm.decode import log_softmax
from galago.vlm.reply import Likely
from galago.vlm.sampling import Logits, Sampler

__all__ = ["Scores"]


class Scores:
    """Of one reply, with the `count` likeliest tokens at each place."""

    def __init__(self, tokenizer: Tokenizer, count: int) -> None:
        self._tokenizer, self._count = tokenizer, count
        self._waiting: deque[Likely] = deque()
        self._begun = 0  # bytes of the tokens that were told
        self._shown = 0  # bytes of the text

    def watching(self, sampler: Sampler) -> Sampler:
        """The sampler; what it chooses is remembered with the logits that it was given."""

        def sample(logits: Logits) -> int:
            chosen = sampler(logits)
            self._remember(logits, chosen)
            return chosen

        return sample

    def of(self, text: str) -> tuple[Likely, ...]:
        """The tokens that begin in the next piece of the text."""
        self._shown += len(text.encode("utf-8", "replace"))
        found = []
        while self._waiting and self._begun < self._shown:
            found.append(self._waiting.popleft())
            self._begun += len(found[-1].token)
        return tuple(found)

    def rest(self) -> tuple[Likely, ...]:
        """Those that are left, of a reply that nothing was cut from."""
        found = tuple(self._waiting)
        self._waiting.clear()
        return found

    def _remember(self, logits: Logits, chosen: int) -> None:
        token = self._tokenizer.token_bytes(chosen)
        if not token:  # what ends the reply, or is no text
            return
        scores = log_softmax(logits)
        top: list[tuple[bytes, float]] = []
        if self._count:
            count = min(self._count, len(scores))
            places = np.argpartition(-scores, count - 1)[:count]
            places = places[np.lexsort((places, -scores[places]))]
            top = [(self._tokenizer.token_bytes(int(at)), float(scores[at])) for at in places]
        self._waiting.append(Likely(token, float(scores[chosen]), tuple(top)))
