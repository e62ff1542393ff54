"""Does an export say what its source says?  Read back by OpenVINO, and refused if it doesn't.

The pictures, the passage and the bounds are those of the self-check of conversions
(galago/convert/selfcheck.py): cosines of image features, next tokens, KL divergence, all against
float32 from the source's own tensors.  Then both answer ready questions about the pictures,
greedily and through the same code, and the answers that are the same to the letter are counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galago import memory
from galago.checkpoints.names import text_shapes
from galago.checkpoints.vlm import Checkpoint
from galago.convert.load import load_sessions
from galago.convert.selfcheck import PICTURES, Reference, SelfCheck, judge
from galago.errors import ExportError
from galago.export.fastvlm import GRAPHS, Dtype, file_name
from galago.export.parts import read_logits
from galago.export.readback import ExportedLanguage, ExportedVision
from galago.text.presets import PRESETS
from galago.text.tokens import load_tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

__all__ = ["Answers", "Proof", "answers_of", "prove"]

# To which of the self-check's bounds each must hold.
_BOUNDS = {
    "fp32": "fp32",
    "fp16": "bf16",
    "int8": "int8",
    "q8": "int8",
    "q4": "int4",
    "q4f16": "int4",
}
_EXACT = 1e-4  # of features in float32, relative to the largest
_QUESTIONS = ("describe", "read")
_TOKENS = 48

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


def prove(
    folder: Path,
    dtype: Dtype,
    source: Checkpoint,
    reference: Reference,
    answers: Answers | None,
    progress: Callable[[float], None] = lambda share: None,
) -> Proof:
    """Read `folder`'s three graphs of this dtype back and compare.

    ExportError when they can't be read, or stray: the export must not be kept.
    """
    vision = ExportedVision(folder, dtype)
    features = [vision.encode(pixels)[0] for pixels in reference.pixels]
    decoder = folder / file_name(GRAPHS[2], dtype)
    counts = [len(take) for take in reference.takes]
    logits = read_logits(decoder, source.spec.text, reference.sequences, counts, progress)
    check = judge(
        list(zip(reference.features, features, strict=True)),
        list(zip(reference.logits, logits, strict=True)),
        _BOUNDS[dtype.name],
    )
    pairs = list(zip(reference.features, features, strict=True))
    error = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
    same = 0
    if answers is not None:
        language = ExportedLanguage(folder, dtype, source.spec.text)
        vlm = FastVLM(vision, language, load_tokenizer(source.folder), source.spec)
        said = _ask(vlm, [(picture, question) for picture, question, _ in answers])
        same = sum(a == b for a, b in zip(said, answers, strict=True))
    proof = Proof(dtype.name, check, error, same, len(answers or ()))
    if not proof.passed:
        raise ExportError(f"the export strays from its source and was not kept: {proof.sentence()}")
    return proof


def answers_of(
    source: Checkpoint, progress: Callable[[float], None] = lambda share: None
) -> Answers | None:
    """What the source says in float32; None when that doesn't fit the memory."""
    numbers = sum(int(np.prod(shape)) for shape in text_shapes(source.spec.text).values())
    free = memory.available()
    if free is not None and 4 * numbers * 2 > free:  # read, and packed by the engine
        return None
    sessions = load_sessions(source, "fp32")
    vlm = FastVLM(sessions.vision, sessions.language, load_tokenizer(source.folder), source.spec)
    names = [path.name for path in sorted(PICTURES.glob("*.webp"))]
    return _ask(vlm, [(name, question) for name in names for question in _QUESTIONS])


def _ask(vlm: FastVLM, asked: Sequence[tuple[str, str]]) -> Answers:
    """Greedy answers."""
    side = min(vlm.spec.image.side, 512)
    seen = {name: vlm.encode(PICTURES / name, side) for name in {name for name, _ in asked}}
    options = SamplingOptions(max_tokens=_TOKENS)
    return [
        (name, question, vlm.ask(seen[name], PRESETS[question], options=options))
        for name, question in asked
    ]
