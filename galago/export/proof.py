"""Does an ONNX export say what its source says?  OpenVINO reads it back; else it is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.vlm import Checkpoint
from galago.convert.selfcheck import BOUNDS, Reference, SelfCheck
from galago.export.fastvlm import GRAPHS, Dtype, file_name
from galago.export.figures import Answers, Proof, ask, compared
from galago.export.parts import read_logits
from galago.export.readback import ExportedLanguage, ExportedVision
from galago.text.tokens import load_tokenizer
from galago.vlm.fastvlm import FastVLM

__all__ = ["prove", "read_proof"]

# To which of the self-check's bounds each must hold.
_BOUNDS = {
    "fp32": "fp32",
    "fp16": "bf16",
    "int8": "int8",
    "q8": "int8",
    "q4": "int4",
    "q4f16": "int4",
}


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
    both = None
    if answers is not None:
        language = ExportedLanguage(folder, dtype, source.spec.text)
        vlm = FastVLM(vision, language, load_tokenizer(source.folder), source.spec)
        both = answers, ask(vlm, [(picture, question) for picture, question, _ in answers])
    return compared(dtype.name, _BOUNDS[dtype.name], reference, features, logits, both)


def read_proof(figures: Mapping[str, Any]) -> Proof:
    """What Proof.to_json made figures of."""
    own = {field.name for field in dataclasses.fields(SelfCheck)} - {"bounds"}
    bounds = BOUNDS[_BOUNDS[figures["dtype"]]]
    check = SelfCheck(**{name: figures[name] for name in own}, bounds=bounds)
    rest = {name: figures[name] for name in ("dtype", "error", "same", "asked")}
    return Proof(check=check, **rest)
