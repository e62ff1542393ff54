"""A decoder's package read back a few layers at a time, so that the whole is never in memory.

Sequences go through the layers at once, and through the tail behind a position at a time; one goes
through the state as well, token by token, and must come to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.checkpoints.tensors import Float
from galago.engine.mil import Package, Part
from galago.errors import ExportError
from galago.export.mil_writer import LAST

__all__ = ["MASKED", "decoder_inputs", "empty_state", "read_logits"]

MASKED = -1e4  # added to the score of what a token doesn't see
_BUDGET = 700_000_000  # bytes of weights in float32 that are compiled together
_STEPS = 8  # tokens that go through the state one by one
_SAME = 1e-2  # of scores relative to the largest: they are float16, and so is a state
_LOGITS = "logits"

Run = dict[str, NDArray[Any]]


def decoder_inputs(rows: Float, before: int) -> Run:
    """What a decoder is given for (T, hidden) more behind so many tokens, but for its state."""
    places = np.arange(before + len(rows))
    hidden = places[None] > places[before:, None]
    mask = np.where(hidden, np.float16(MASKED), np.float16(0))
    embeds = np.ascontiguousarray(rows[None], np.float16)
    return {"inputs_embeds": embeds, "causal_mask": mask[None, None]}


def empty_state(package: Package) -> Run:
    """Of each state its rows, in zeros."""
    return {
        f"{name}.{row}": np.zeros([1, *port.sizes()[1:]], np.float16)
        for name, port in package.states.items()
        for row in range(port.sizes()[0])
    }


def read_logits(
    package: Package,
    sequences: Sequence[Float],
    counts: Sequence[int],
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[list[Float], float]:
    """Logits (count, vocab) of the last `counts` positions of sequences (T, hidden), and the
    largest magnitude on the way that Core ML would hold in float16.

    ExportError when the state doesn't carry what was said.
    """
    steps = min(_STEPS, counts[0] - 1)
    flowing = [_runs(sequences[0], steps), *(_runs(sequence, 0) for sequence in sequences)]
    kept = [1, *counts]
    largest = 0.0
    for part in package.parts(_BUDGET, before=LAST):
        if part.gives == (_LOGITS,):
            flowing = [_tail(part, runs, count) for runs, count in zip(flowing, kept, strict=True)]
        else:
            flowing = [_through(part, package, runs) for runs in flowing]
        largest = max(largest, part.largest)
        progress(part.share)
    one_by_one, *found = (
        np.concatenate([run[_LOGITS][:, -1] for run in runs]).astype(np.float32) for runs in flowing
    )
    at_once = found[0][-len(one_by_one) :]
    apart = float(np.abs(one_by_one - at_once).max() / np.abs(at_once).max())
    if not apart <= _SAME:
        raise ExportError(
            "the decoder says something else token by token than at once (scores are "
            f"{apart:.1e} of the largest apart): its state is wrong, and the export was not kept"
        )
    return found, largest


def _runs(sequence: Float, steps: int) -> list[Run]:
    """All but the last `steps` tokens together, and these one by one."""
    start = len(sequence) - steps
    first = decoder_inputs(sequence[:start], 0)
    return [
        first,
        *(decoder_inputs(sequence[at : at + 1], at) for at in range(start, start + steps)),
    ]


def _through(part: Part, package: Package, runs: Sequence[Run]) -> list[Run]:
    """The runs of one sequence, one after the other over one state."""
    state = {name: rows for name, rows in empty_state(package).items() if name in part.takes}
    found = []
    for run in runs:
        made = part.run({**run, **state})
        state = {name: made.pop(f"{name}.next") for name in state}
        found.append({name: one for name, one in {**run, **made}.items() if name in part.later})
    return found


def _tail(part: Part, runs: Sequence[Run], count: int) -> list[Run]:
    """The last `count` positions of each run, each as the newest."""
    (name,) = part.takes
    return [
        part.run({name: run[name][:, at : at + 1]})
        for run in runs
        for at in range(run[name].shape[1])[-count:]
    ]
