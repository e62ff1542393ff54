"""Does a converted model still say what the full-precision one says?

Three small pictures and a passage of text come with the package. Features of the pictures are
compared by cosine, token by token; the next-token distributions at every position of the text by
KL divergence and by top-1 agreement. The reference is computed in float32 from the source's own
tensors. Neither side needs the whole decoder in memory: both run a few layers at a time on the
whole sequence (`run_decoder`), and the reference's output projection is multiplied in runs of rows.
A 7B model is checked within about 3 GB this way.

A position where the reference itself is undecided (its two best tokens are within
UNDECIDED of each other in probability) is left out of top-1 agreement: swapping two equally
likely words is no error, and the KL divergence still covers it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.checkpoints.names import EMBEDDING, HEAD
from galago.checkpoints.tensors import Float, let_go, widen
from galago.checkpoints.vlm import Checkpoint
from galago.engine.agreement import EXACT, HALF, row_cosines
from galago.engine.graph.ops import Weights
from galago.engine.layers import run_decoder
from galago.engine.precision import PrecisionPlan
from galago.engine.vlm_sessions import VisionSession
from galago.engine.vlm_weights import collect, vision_items
from galago.media import images
from galago.media.preprocess import preprocess
from galago.places import DATA
from galago.specs import VLMSpec
from galago.text import tokens

PICTURES = DATA / "selfcheck"
# What a model might be asked and might say: the text whose next tokens are predicted.
PASSAGE = (
    "Describe the image in English. Output should be brief, about 15 words or less. "
    "A person holds a sheet of paper with a short note on it, in front of a plain wall. "
    "The note says: milk, bread, two apples. There are three fingers on the left side, a shirt on "
    "a hanger and a green bottle on the table."
)
UNDECIDED = 0.05
_FULL_SIDE_PICTURES = 1
_SMALL_SIDE = 512
_HEAD_ROWS = 8192
# Next tokens compared per picture, and how many at once: each is a row of the vocabulary.
_POSITIONS = 64
_ROWS = 16


@dataclass(frozen=True)
class Bounds:
    """The least a conversion must reach."""

    cosine_mean: float
    cosine_min: float
    top1: float
    kl: float


# bf16 keeps 8 bits of mantissa through about 150 layers of the trunk; int8 and int4 round weights
# (and activations) once more. A wrong graph or a swapped tensor lands far outside all of these.
BOUNDS = {
    "fp32": Bounds(*EXACT, top1=0.99, kl=0.001),
    "bf16": Bounds(*HALF, top1=0.95, kl=0.05),
    "int8": Bounds(*HALF, top1=0.90, kl=0.10),
    "int4": Bounds(*HALF, top1=0.75, kl=0.40),
}


@dataclass(frozen=True)
class SelfCheck:
    """Figures of one comparison; `positions` next tokens, of which `decided` count for top1."""

    cosine_mean: float
    cosine_min: float
    top1: float
    kl: float
    positions: int
    decided: int
    passed: bool
    bounds: Bounds

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def sentence(self) -> str:
        """One line for people."""
        verdict = "passed" if self.passed else "FAILED"
        agreement = (
            f"next-token agreement {self.top1:.1%} of {self.decided}"
            if self.decided
            else "no next token that the reference is sure of"
        )
        return (
            f"self-check {verdict}: feature cosine {self.cosine_mean:.4f} "
            f"(least {self.cosine_min:.4f}), {agreement}, KL {self.kl:.4f} over "
            f"{self.positions} positions"
        )


def judge(
    features: Sequence[tuple[Float, Float]],
    logits: Sequence[tuple[Float, Float]],
    precision: str,
) -> SelfCheck:
    """Compare (reference, converted) pairs: features (T, D) and logits (N, vocab)."""
    return judge_by(features, logits, BOUNDS[precision])


def judge_by(
    features: Sequence[tuple[Float, Float]],
    logits: Sequence[tuple[Float, Float]],
    bounds: Bounds,
) -> SelfCheck:
    """As `judge`, by bounds of one's own."""
    cosines = np.concatenate([np.empty(0, np.float32), *(row_cosines(a, b) for a, b in features)])
    agreed: list[npt.NDArray[np.bool_]] = [np.empty(0, np.bool_)]
    divergence: list[npt.NDArray[np.float64]] = [np.empty(0)]
    saying = False  # whether the reference prefers anything anywhere
    for reference, other in logits:
        for start in range(0, len(reference), _ROWS):
            rows = slice(start, start + _ROWS)
            hits, kl = _next_tokens(reference[rows], other[rows])
            agreed.append(hits)
            divergence.append(kl)
            saying |= bool((np.ptp(reference[rows], axis=-1) > 0).any())
    hits, kl = np.concatenate(agreed), np.concatenate(divergence)
    found = {
        "cosine_mean": float(cosines.mean()) if cosines.size else 0.0,
        "cosine_min": float(cosines.min()) if cosines.size else 0.0,
        "top1": float(hits.mean()) if hits.size else 1.0,
        "kl": float(kl.mean()) if kl.size else 0.0,
    }
    # Written so that a NaN anywhere fails, and a comparison of nothing too.
    passed = (
        saying
        and found["cosine_mean"] >= bounds.cosine_mean
        and found["cosine_min"] >= bounds.cosine_min
        and found["top1"] >= bounds.top1
        and found["kl"] <= bounds.kl
    )
    return SelfCheck(
        **found, positions=int(kl.size), decided=int(hits.size), passed=passed, bounds=bounds
    )


def _next_tokens(
    reference: Float, other: Float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Agreement of the best token where the reference is decided, and KL of every row."""
    ours, theirs = _log_softmax(reference), _log_softmax(other)
    best = np.exp(np.partition(ours, -2, axis=-1)[:, -2:])
    decided = best[:, 1] - best[:, 0] >= UNDECIDED
    hits = np.asarray((ours.argmax(-1) == theirs.argmax(-1))[decided])
    return hits, np.asarray((np.exp(ours) * (ours - theirs)).sum(-1))


def _log_softmax(logits: Float) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


@dataclass(frozen=True)
class Reference:
    """What the full-precision model makes of the pictures and the passage.

    `pixels` (1, 3, H, W) and `features` (T, hidden) of each picture; `sequences` (N, hidden) of
    them and the passage behind; `takes`: positions whose `logits` (n, vocab) are compared.
    """

    pixels: list[Float]
    features: list[Float]
    sequences: list[Float]
    takes: list[npt.NDArray[np.int64]]
    logits: list[Float]


def reference_of(
    source: Checkpoint,
    progress: Callable[[float], None] = lambda share: None,
    *,
    whole: bool = False,
) -> Reference:
    """Computed in float32 from the source's tensors, a few layers in memory at a time.

    `whole`: all pictures at the model's own side, for an export that knows no other.
    """
    spec, full = source.spec, PrecisionPlan("fp32", "fp32")
    pixels = list(pictures_of(spec, whole=whole))
    features = _encode(VisionSession(collect(vision_items(source, "fp32")), spec, full), pixels)
    progress(0.4)
    ids = prompt_ids(source)
    words = widen(
        source.tensors[EMBEDDING].read()[np.asarray(ids)],
        source.tensors[EMBEDDING].dtype,
    )
    sequences = [np.concatenate([seen, words]) for seen in features]
    count = min(len(ids), _POSITIONS)
    takes = [np.arange(len(s) - count, len(s)) for s in sequences]
    logits = _reference(source, full, sequences, takes, lambda share: progress(0.4 + 0.5 * share))
    progress(1.0)
    return Reference(pixels, features, sequences, takes, logits)


def check_conversion(
    source: Checkpoint,
    tensors: Weights,
    plan: PrecisionPlan,
    progress: Callable[[float], None] = lambda share: None,
) -> SelfCheck:
    """Compare converted `tensors` with their source, one part in memory at a time."""
    spec = source.spec
    found = reference_of(source, lambda share: progress(0.7 * share))
    ours = _encode(VisionSession(tensors, spec, plan), found.pixels)
    progress(0.8)
    # Both decoders see the same inputs, so that the two comparisons don't blur into each other.
    converted = run_decoder(
        tensors,
        spec.text,
        plan,
        found.sequences,
        found.takes,
        head=True,
        progress=lambda share: progress(0.8 + 0.2 * share),
    )
    progress(1.0)
    return judge(
        list(zip(found.features, ours, strict=True)),
        list(zip(found.logits, converted, strict=True)),
        plan.language,
    )


def compare_vision(
    reference: Weights, other: Weights, spec: VLMSpec, plan: PrecisionPlan
) -> tuple[float, float]:
    """Mean and least cosine of image tokens between fp32 tensors and those of `plan`."""
    pictures = list(pictures_of(spec))
    theirs = _encode(VisionSession(reference, spec, PrecisionPlan("fp32", "fp32")), pictures)
    ours = _encode(VisionSession(other, spec, plan), pictures)
    found = np.concatenate([row_cosines(a, b) for a, b in zip(theirs, ours, strict=True)])
    return float(found.mean()), float(found.min())


def _encode(session: VisionSession, pictures: Sequence[Float]) -> list[Float]:
    found = [session.encode(pixels)[0] for pixels in pictures]
    session.release()
    return found


def pictures_of(spec: VLMSpec, *, whole: bool = False) -> Iterator[Float]:
    """The first picture as the model takes it, the rest smaller: each costs seconds at 1024."""
    for index, path in enumerate(sorted(PICTURES.glob("*.webp"))):
        side = spec.image.side
        if index >= _FULL_SIDE_PICTURES and not whole:
            side = min(side, _SMALL_SIDE)
        picture = images.open_image(path)
        yield preprocess(picture, dataclasses.replace(spec.image, side=side))[None]


def prompt_ids(source: Checkpoint) -> list[int]:
    """Ids of the passage, within the embedding table."""
    return passage_ids(source.folder, source.spec.text.vocab)


def passage_ids(folder: Path, vocab: int) -> list[int]:
    """As prompt_ids, of any folder with a tokenizer."""
    found = tokens.load_tokenizer(folder).encode(PASSAGE)
    return [i for i in found if 0 <= i < vocab] or [0]


def _reference(
    source: Checkpoint,
    plan: PrecisionPlan,
    sequences: Sequence[Float],
    takes: Sequence[npt.NDArray[np.int64]],
    progress: Callable[[float], None],
) -> list[Float]:
    """Logits in float32 from the source's tensors."""
    text = source.spec.text
    hidden = run_decoder(
        source.tensors, text, plan, sequences, takes, head=False, progress=progress
    )
    norm = source.tensors["model.norm.weight"]
    gain = widen(norm.read(), norm.dtype)
    normed = [
        h / np.sqrt((h * h).mean(-1, keepdims=True) + np.float32(text.rms_eps)) * gain
        for h in hidden
    ]
    head = source.tensors[EMBEDDING if text.tied else HEAD]
    rows, stored = head.shape[0], head.read()
    logits = [np.empty((len(h), rows), np.float32) for h in normed]
    for start in range(0, rows, _HEAD_ROWS):
        part = widen(stored[start : start + _HEAD_ROWS], head.dtype)
        for h, out in zip(normed, logits, strict=True):
            out[:, start : start + _HEAD_ROWS] = h @ part.T
    let_go(head)
    return logits
