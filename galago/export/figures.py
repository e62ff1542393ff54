"""How near an export comes to its source: figures, bounds, and the ready questions both answer.

The pictures, the passage and the bounds are those of the self-check of conversions
(galago/convert/selfcheck.py): cosines of image features, next tokens, KL divergence, all against
float32 from the source's own tensors.  Then both answer ready questions about the pictures,
greedily and through the same code, and the answers that are the same to the letter are counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galago import memory
from galago.checkpoints.names import text_shapes
from galago.checkpoints.tensors import Float
from galago.checkpoints.vlm import Checkpoint
from galago.convert.load import load_sessions
from galago.convert.selfcheck import PICTURES, Reference, SelfCheck, judge
from galago.errors import ExportError
from galago.text.presets import PRESETS
from galago.text.tokens import load_tokenizer
from galago.vlm.decode import LanguageModel
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

__all__ = ["UNASKED", "Answers", "Proof", "answers_of", "ask", "compared", "logits_through"]

_EXACT = 1e-4  # of features in float32, relative to the largest
_QUESTIONS = ("describe", "read")
_TOKENS = 48

UNASKED = "the source in float32 did not fit the memory"

Answers = list[tuple[str, str, str]]  # picture, question, what was said


@dataclass(frozen=True)
class Proof:
    """Figures of one dtype.

    `error`: the largest difference of a feature, relative to the largest feature.  `same` of
    `asked` greedy answers are the source's to the letter; `asked` is 0 where the source in float32
    doesn't fit the memory.
    """

    dtype: str
    check: SelfCheck
    error: float
    same: int
    asked: int

    @property
    def passed(self) -> bool:
        exact = self.dtype != "fp32" or (self.error <= _EXACT and self.same == self.asked)
        return self.check.passed and exact

    def to_json(self) -> dict[str, Any]:
        """The figures, in one level."""
        figures = dataclasses.asdict(self.check)
        del figures["bounds"]
        own = {"dtype": self.dtype, "error": self.error, "same": self.same, "asked": self.asked}
        return figures | own | {"passed": self.passed}

    def sentence(self) -> str:
        """One line for people."""
        told = f", {self.same} of {self.asked} answers the same" if self.asked else ""
        return f"{self.dtype}: {self.check.sentence()}, features within {self.error:.1e}{told}"


def compared(
    dtype: str,
    bounds: str,
    reference: Reference,
    features: Sequence[Float],
    logits: Sequence[Float],
    answers: tuple[Answers, Answers] | None,
) -> Proof:
    """The figures of one dtype, to hold to the self-check's `bounds`; `answers`: what the source
    said and what the export did.

    ExportError when it strays: the export must not be kept.
    """
    pairs = list(zip(reference.features, features, strict=True))
    check = judge(pairs, list(zip(reference.logits, logits, strict=True)), bounds)
    error = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
    said, others = answers or ([], [])
    same = sum(a == b for a, b in zip(said, others, strict=True))
    proof = Proof(dtype, check, error, same, len(said))
    if not proof.passed:
        raise ExportError(f"the export strays from its source and was not kept: {proof.sentence()}")
    return proof


def answers_of(
    source: Checkpoint,
    progress: Callable[[float], None] = lambda share: None,
    *,
    whole: bool = False,
) -> Answers | None:
    """What the source says in float32; None when that doesn't fit the memory.

    `whole`: of pictures at the model's own side, as `ask`.
    """
    numbers = sum(int(np.prod(shape)) for shape in text_shapes(source.spec.text).values())
    free = memory.available()
    if free is not None and 4 * numbers * 2 > free:  # read, and packed by the engine
        return None
    sessions = load_sessions(source, "fp32")
    vlm = FastVLM(sessions.vision, sessions.language, load_tokenizer(source.folder), source.spec)
    names = [path.name for path in sorted(PICTURES.glob("*.webp"))]
    return ask(vlm, [(name, question) for name in names for question in _QUESTIONS], whole=whole)


def ask(vlm: FastVLM, asked: Sequence[tuple[str, str]], *, whole: bool = False) -> Answers:
    """Greedy answers; about pictures of at most 512 px, as larger ones cost seconds, or `whole`."""
    side = vlm.spec.image.side if whole else min(vlm.spec.image.side, 512)
    seen = {name: vlm.encode(PICTURES / name, side) for name in {name for name, _ in asked}}
    options = SamplingOptions(max_tokens=_TOKENS)
    return [
        (name, question, vlm.ask(seen[name], PRESETS[question], options=options))
        for name, question in asked
    ]


def logits_through(language: LanguageModel, sequence: Float, count: int) -> Float:
    """Logits (count, vocab) of the last positions; all but the first go through the cache."""
    cache = language.new_cache()
    first = cache.append(sequence[: len(sequence) - count + 1])
    return np.concatenate([first[None], cache.append_all(sequence[len(sequence) - count + 1 :])])
