"""Does vision in 8 bits hold on this model's own weights? A stricter look than conversion takes.

Conversion lets 8-bit vision pass by three pictures and wide bounds. Here 32 of many kinds are
looked at in float32 and in 8 bits, at the model's own side; the picture tokens are compared, and
what the converted decoder would say behind both: its next tokens at places of a passage of text.
The decoder is the same for both, so that what strays is vision's. Both ways of looking are timed
by turns, so that a busy processor slows both.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galago.checkpoints.names import EMBEDDING
from galago.checkpoints.tensors import Float, widen
from galago.checkpoints.vlm import Checkpoint
from galago.convert.calibrate import calibrate
from galago.convert.kinds import PICTURES, pictures
from galago.convert.selfcheck import Bounds, SelfCheck, judge_by, prompt_ids
from galago.engine.graph.ops import Weights
from galago.engine.layers import run_decoder
from galago.engine.precision import PrecisionPlan
from galago.engine.processor import exact_products
from galago.engine.quantise import FULL_TOP, HALF_TOP
from galago.engine.vlm_sessions import VisionSession
from galago.engine.vlm_weights import collect, vision_items
from galago.media.preprocess import preprocess
from galago.specs import VLMSpec

__all__ = ["BOUNDS", "Vision8", "check_vision8"]

BOUNDS = Bounds(cosine_mean=0.995, cosine_min=0.98, top1=0.98, kl=0.02)
_POSITIONS = 16  # next tokens compared of a picture: each is a row of the vocabulary, twice
_TURNS = 5  # of looking, in each way


@dataclass(frozen=True)
class Vision8:
    """What came of it.  wide, narrow: the least seconds that looking took as the model was
    converted, and in 8 bits; wanted: the precision with 8-bit vision."""

    check: SelfCheck
    pictures: int
    wide: float
    narrow: float
    wanted: str

    @property
    def gain(self) -> float:
        """How many times as fast looking is."""
        return self.wide / max(self.narrow, 1e-9)

    def figures(self) -> str:
        found = self.check
        return (
            f"cosine {found.cosine_mean:.4f} (least {found.cosine_min:.4f}), next tokens "
            f"{found.top1:.1%} of {found.decided} the same, KL {found.kl:.4f} on {self.pictures} "
            "pictures of many kinds"
        )

    def sentence(self) -> str:
        """One line for people; behind it comes the command, where it holds and gains."""
        seconds = f"{self.wide:.3f} s to {self.narrow:.3f} s a picture"
        if not self.check.passed:
            return f"vision in 8 bits strays on these weights: {self.figures()}; left as it is"
        if self.gain <= 1:
            return (
                f"vision in 8 bits holds on these weights ({self.figures()}) and gains nothing "
                f"here: {seconds}"
            )
        return (
            f"vision in 8 bits holds on these weights: {self.figures()}; it looks {self.gain:.1f} "
            f"times as fast here ({seconds})"
        )


def check_vision8(
    source: Checkpoint,
    converted: Weights,
    plan: PrecisionPlan,
    progress: Callable[[float], None] = lambda share: None,
) -> Vision8:
    """Of a source and the tensors of its conversion by `plan`, whose vision isn't in 8 bits."""
    spec = source.spec
    exact = PrecisionPlan("fp32", "fp32")
    full = collect(vision_items(source, "fp32"))
    layers = calibrate(full, spec, FULL_TOP if exact_products() else HALF_TOP)
    reference = VisionSession(full, spec, exact)
    theirs = _seen(reference, spec, lambda share: progress(0.4 * share))
    reference.release()
    del reference, full
    narrow_plan = dataclasses.replace(plan, vision="int8")
    narrow = VisionSession(collect(vision_items(source, "int8", layers)), spec, narrow_plan)
    ours = _seen(narrow, spec, lambda share: progress(0.4 + 0.2 * share))
    wide = VisionSession(collect(vision_items(source, plan.vision)), spec, plan)
    slow, quick = _timed((wide, narrow), spec)
    wide.release()
    narrow.release()
    del wide, narrow
    said = _next_tokens(
        source, converted, plan, [*theirs, *ours], lambda share: progress(0.65 + 0.35 * share)
    )
    check = judge_by(
        list(zip(theirs, ours, strict=True)),
        list(zip(said[: len(theirs)], said[len(theirs) :], strict=True)),
        BOUNDS,
    )
    progress(1.0)
    return Vision8(check, len(theirs), slow, quick, f"{plan.language}-int8")


def _pixels(spec: VLMSpec) -> Iterator[Float]:
    for picture in pictures():
        yield preprocess(picture, spec.image)[None]  # (1, 3, side, side)


def _seen(session: VisionSession, spec: VLMSpec, progress: Callable[[float], None]) -> list[Float]:
    found = []
    for number, pixels in enumerate(_pixels(spec), 1):
        found.append(session.encode(pixels)[0])  # (T, hidden)
        progress(number / PICTURES)
    return found


def _timed(sessions: Sequence[VisionSession], spec: VLMSpec) -> list[float]:
    """The least seconds that each takes for a picture, by turns; each has looked before."""
    pixels = next(_pixels(spec))
    taken: list[list[float]] = [[] for _ in sessions]
    for session in sessions:
        session.encode(pixels)
    for _ in range(_TURNS):
        for session, seconds in zip(sessions, taken, strict=True):
            started = time.perf_counter()
            session.encode(pixels)
            seconds.append(time.perf_counter() - started)
    return [min(seconds) for seconds in taken]


def _next_tokens(
    source: Checkpoint,
    converted: Weights,
    plan: PrecisionPlan,
    features: Sequence[Float],
    progress: Callable[[float], None],
) -> list[Float]:
    """Logits (n, vocab) at places of the passage behind each picture."""
    ids = prompt_ids(source)
    stored = source.tensors[EMBEDDING]
    words = widen(stored.read()[np.asarray(ids)], stored.dtype)
    sequences = [np.concatenate([seen, words]) for seen in features]
    spread = np.linspace(0, len(ids) - 1, min(_POSITIONS, len(ids)))
    behind: npt.NDArray[np.int64] = spread.round().astype(np.int64)
    takes = [len(seen) + behind for seen in features]
    return run_decoder(
        converted, source.spec.text, plan, sequences, takes, head=True, progress=progress
    )
