"""Replies of several threads decoded together: one run of the decoder for all next tokens.

A step for one reply reads every weight, and so does a step for eight.  Whoever wants the next token
puts it down; one of the waiting threads runs the step for all, and replies come and go between two
steps, as Orca schedules them (https://www.usenix.org/conference/osdi22/presentation/yu).

A reply that decodes alone runs in its cache as if nothing of this were here.  Those that decode
together sit in one request of the engine, as rows that end at the same place: shorter ones have
empty positions before them, which the mask hides.  A row's sums are those of a decoder alone, to
the last bits of float32 (the engine multiplies one row and many in different orders).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float
from galago.engine.vlm_sessions import (
    HIDDEN,
    KVCache,
    LanguageSession,
    State,
    read_state,
    write_state,
)

__all__ = ["BatchedCache", "BatchedDecoder"]


# A step waits this long for a reply that was in the last one: its thread may be choosing a token.
# Who reads slower than that decodes alone meanwhile.
_PATIENCE = 0.05  # seconds


class BatchedDecoder:
    """A decoder (vlm.decode.LanguageModel) for several threads, each with caches of its own."""

    def __init__(self, session: LanguageSession) -> None:
        self._session = session
        self.hidden, self.vocab = session.hidden, session.vocab
        self._batch = Batch(session)
        self._turn = threading.Condition()
        self._leader: BatchedCache | None = None  # whose thread runs a step
        self._asked: dict[BatchedCache, Float] = {}
        self._told: dict[BatchedCache, Union[Float, BaseException]] = {}  # noqa: UP007
        self._awaited: set[BatchedCache] = set()  # of the last step, not back yet

    def embed(self, ids: npt.ArrayLike) -> Float:
        """Token ids (T,) -> embeddings (T, hidden) float32."""
        return self._session.embed(ids)

    def new_cache(self) -> BatchedCache:
        """An empty cache, for one thread at a time."""
        return BatchedCache(self, self._session.new_cache())

    def continuing_pays(self, known: int, new: int) -> bool:
        """As LanguageSession.continuing_pays."""
        return self._session.continuing_pays(known, new)

    def rest(self, row: BatchedCache) -> None:
        """Steps no longer wait for this row."""
        with self._turn:
            self._awaited.discard(row)
            self._turn.notify_all()

    def own(self, row: BatchedCache) -> KVCache:
        """The row's cache with all that the row remembers, for its thread to work with."""
        with self._turn:
            self._awaited.discard(row)
            self._turn.notify_all()
            # A step that others run without this row lets it go by itself.
            self._turn.wait_for(lambda: self._leader is None or row not in self._batch.places)
            if row in self._batch.places:
                self._batch.leave([row])
        return row.alone

    def step(self, row: BatchedCache, inputs_embeds: Float) -> Float:
        """Feed one token (1, hidden): logits (vocab,), when the step that holds it has run."""
        with self._turn:
            self._asked[row] = inputs_embeds
            self._turn.notify_all()
        try:
            while not self._answered(row):
                self._lead()
        finally:
            with self._turn:
                if self._leader is row:  # interrupted on the way to its step
                    self._leader = None
                    self._turn.notify_all()
                if row not in self._told and row not in self._asked:
                    # Interrupted while another's step holds it: its answer is not left behind.
                    self._turn.wait_for(lambda: self._leader is None)
                self._asked.pop(row, None)
                told = self._told.pop(row, None)
        assert told is not None
        if isinstance(told, BaseException):
            raise told
        return told

    def _answered(self, row: BatchedCache) -> bool:
        """Waits until the row's step has run (True), or until somebody has to run one."""
        with self._turn:
            self._turn.wait_for(lambda: row in self._told or self._leader is None)
            if row in self._told:
                return True
            self._leader = row
            return False

    def _lead(self) -> None:
        """Run a step for all who ask, among them those of the last step if they come soon."""
        taken: dict[BatchedCache, Float] = {}
        answers: dict[BatchedCache, Union[Float, BaseException]] = {}  # noqa: UP007
        try:
            with self._turn:
                self._turn.wait_for(lambda: self._awaited <= self._asked.keys(), _PATIENCE)
                taken, self._asked = self._asked, {}
            answers = self._run(taken)
        except BaseException as error:  # an interrupt before or after the step
            answers = dict.fromkeys(taken, error)
            raise
        finally:
            with self._turn:
                self._leader = None
                self._told |= answers
                self._awaited = set(taken)
                self._turn.notify_all()

    def _run(
        self, asked: dict[BatchedCache, Float]
    ) -> dict[BatchedCache, Union[Float, BaseException]]:  # noqa: UP007
        try:
            return dict(zip(asked, self._batch.step(asked), strict=True))
        except BaseException as error:  # whoever waits must hear of it, whatever it is
            return dict.fromkeys(asked, error)


class BatchedCache:
    """A cache (galago.vlm.decode.Cache) whose single tokens are fed together with others'."""

    def __init__(self, decoder: BatchedDecoder, alone: KVCache) -> None:
        self._decoder = decoder
        self.alone = alone
        self.length = 0

    def append(self, inputs_embeds: Float) -> Float:
        """As KVCache.append for (T, hidden)."""
        if len(inputs_embeds) == 1 and self.length:
            logits = self._decoder.step(self, inputs_embeds)
        else:
            logits = self._decoder.own(self).append(inputs_embeds)
        self.length += len(inputs_embeds)
        return logits

    def append_all(self, inputs_embeds: Float) -> Float:
        """As KVCache.append_all for (T, hidden)."""
        logits = self._decoder.own(self).append_all(inputs_embeds)
        self.length += len(inputs_embeds)
        return logits

    def truncate(self, length: int) -> None:
        """As KVCache.truncate."""
        if length != self.length:
            self._decoder.own(self).truncate(length)
            self.length = length

    def rest(self) -> None:
        """No token comes soon: others need not wait for one."""
        self._decoder.rest(self)


@dataclass(frozen=True)
class BatchRow:
    """Where a row sits: its number in the batch, and the first position that is its own."""

    number: int
    first: int


class Batch:
    """The rows that decode together, in one request.  For one thread at a time."""

    def __init__(self, session: LanguageSession) -> None:
        self._session = session
        self._request = session.new_request()
        self._length = 0
        self.places: dict[BatchedCache, BatchRow] = {}

    def step(self, asked: dict[BatchedCache, Float]) -> Sequence[Float]:
        """Feed each row's token (1, hidden): logits (vocab,) of each."""
        rows = list(asked)
        if len(rows) == 1 and rows[0] not in self.places:
            return [rows[0].alone.append(asked[rows[0]])]
        self.leave([row for row in self.places if row not in asked])
        if any(row not in self.places for row in rows):
            self._sit(rows)
        order = [self.places[row].number for row in rows]
        firsts = [self.places[row].first for row in rows]
        logits = self._session.run(
            self._request,
            np.stack([asked[row] for row in rows]),
            self._mask(firsts),
            self._rotary(self._length - first for first in firsts),
            [0],
            order,
        )
        self._length += 1
        self.places = {row: BatchRow(at, firsts[at]) for at, row in enumerate(rows)}
        return list(logits[:, 0])

    def leave(self, rows: Sequence[BatchedCache]) -> None:
        """Give rows what they remember, and forget them here."""
        if not rows:
            return
        state = read_state(self._request)
        for row in rows:
            place = self.places[row]
            row.alone.restore(_cut(state, place), self._length - place.first)
            del self.places[row]

    def _sit(self, rows: Sequence[BatchedCache]) -> None:
        """Set the state to these rows', ends aligned; those that were alone come from there."""
        here = read_state(self._request) if self.places else {}
        states = [
            _cut(here, self.places[row]) if row in self.places else row.alone.state()
            for row in rows
        ]
        lengths = [next(iter(state.values())).shape[2] for state in states]
        longest = max(lengths)
        joined: State = {}
        for name, first in states[0].items():
            shape = (len(rows), first.shape[1], longest, first.shape[3])
            joined[name] = np.zeros(shape, first.dtype)
            for at, state in enumerate(states):
                joined[name][at, :, longest - lengths[at] :] = state[name][0]
        write_state(self._request, joined)
        self._length = longest
        self.places = {row: BatchRow(at, longest - lengths[at]) for at, row in enumerate(rows)}
        for row in rows:
            row.alone.restore({}, 0)  # what is remembered twice is memory for nothing

    def _mask(self, firsts: Sequence[int]) -> Float:
        """(B, 1, 1, length + 1): nothing before a row's first position is seen."""
        seen = np.arange(self._length + 1) >= np.array(firsts)[:, None]
        return np.asarray(np.where(seen, np.float32(0), HIDDEN)[:, None, None])

    def _rotary(self, positions: Iterable[int]) -> tuple[Float, Float]:
        """cos and sin (B, 1, 1, head_dim), each row's own position's."""
        pairs = [self._session.rotary(at, at + 1) for at in positions]
        return np.concatenate([c for c, _ in pairs]), np.concatenate([s for _, s in pairs])


def _cut(state: State, place: BatchRow) -> State:
    """One row of a request's state, without the empty positions before it."""
    number = slice(place.number, place.number + 1)
    return {name: held[number, :, place.first :] for name, held in state.items()}
