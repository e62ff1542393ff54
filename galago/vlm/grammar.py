"""Replies held to a form: which ids may come next, of one reply, token by token."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galago.errors import OptionError
from galago.text.tokens import Tokenizer
from galago.vlm.forms import Form, llguidance, parser_limits
from galago.vlm.sampling import Logits, Sampler

__all__ = ["Constraint", "Grammars", "constrained"]

Mask = NDArray[np.bool_]  # (vocab,)


class Constraint(Protocol):
    """What one reply may say."""

    @property
    def done(self) -> bool:
        """The reply is whole, and nothing can follow."""

    def allowed(self) -> Mask:
        """The ids that may come next; the one that ends a reply among them where it may."""

    def push(self, token_id: int) -> None:
        """One of them was said."""


def constrained(sampler: Sampler, constraint: Constraint) -> Sampler:
    """A sampler of what a constraint allows; where that is one id, nothing is left to choose."""

    def sample(logits: Logits) -> int:
        mask = constraint.allowed()
        ids = np.flatnonzero(mask)
        if len(ids) == 1:
            chosen = int(ids[0])
        else:
            chosen = sampler(np.where(mask, logits, np.float32(-np.inf)))
        constraint.push(chosen)
        return chosen

    return sample


class Grammars:
    """Constraints for a model's vocabulary.  Safe to use from several threads.

    The vocabulary is given to llguidance with the first form (a second and 60 MB for Qwen2's).
    """

    def __init__(self, tokenizer: Tokenizer, vocab: int, end_id: int) -> None:
        """`end_id` is what ends a reply."""
        self._tokenizer, self._vocab, self._end_id = tokenizer, vocab, end_id
        self._lock = threading.Lock()
        self._words: Any = None

    def begin(self, form: Form) -> Constraint:
        """A constraint for one reply; OptionError for a form that is too complex."""
        engine = llguidance()
        with self._lock:
            if self._words is None:
                vocabulary = _Vocabulary(self._tokenizer, self._vocab, self._end_id)
                # Masks of what JSON's strings allow are kept ready.
                slices = engine.LLTokenizer.json_slices()
                self._words = engine.LLTokenizer(vocabulary, slices=slices)
        matcher = engine.LLMatcher(self._words, form.grammar, log_level=0, limits=parser_limits())
        return _Matched(matcher, self._vocab)


class _Vocabulary:
    """What llguidance's LLTokenizer asks of a tokenizer: bytes of each id, and ids of bytes."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, vocab: int, end_id: int) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = end_id
        # Ids without bytes are said by no grammar: control tokens, and padding of the vocabulary.
        self.tokens = [tokenizer.token_bytes(at) for at in range(vocab)]
        self.special_token_ids = [end_id]
        self.tokens[end_id] = b"<end>"  # a name; a special id's bytes are not text

    def __call__(self, text: bytes | str) -> list[int]:
        """How the model itself would write what a grammar forces."""
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self._tokenizer.encode(whole)


class _Matched:
    def __init__(self, matcher: Any, vocab: int) -> None:
        self._matcher, self._vocab = matcher, vocab
        self._check()

    @property
    def done(self) -> bool:
        return bool(self._matcher.is_stopped())

    def allowed(self) -> Mask:
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        return np.unpackbits(bits, count=self._vocab, bitorder="little").view(np.bool_)

    def push(self, token_id: int) -> None:
        self._matcher.consume_token(token_id)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            told = " ".join(str(self._matcher.get_error()).split())[:160]
            raise OptionError(f"the JSON schema asks for too much ({told}); simplify it")
