"""`galago export --to onnx`: folders for transformers.js, ONNX Runtime and OpenVINO.

Written beside their place and put there when every dtype has proved itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import Reference, reference_of
from galago.errors import OptionError
from galago.export.asked import forget_asked, keep_asked, kept_asked
from galago.export.card import fastvlm_card, mobileclip_card
from galago.export.clip_figures import ClipProof, seen_by
from galago.export.clip_proof import prove_clip
from galago.export.fastvlm import (
    DTYPES,
    GRAPHS,
    Dtype,
    file_name,
    write_decoder,
    write_embedding,
    write_vision,
)
from galago.export.figures import UNASKED, Answers, Proof, answers_of
from galago.export.mobileclip import (
    CLIP_DTYPES,
    CLIP_GRAPHS,
    ClipDtype,
    clip_file,
    write_image,
    write_text,
)
from galago.export.overflow import Measured, measure
from galago.export.proof import prove, read_proof
from galago.export.transformers_js import image_row, write_configuration
from galago.export.transformers_js_clip import write_clip_configuration
from galago.export.watched import watched
from galago.export.work import Work, check_target, writing
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress, Stage, silent
from galago.text.tokens import load_tokenizer

__all__ = ["Made", "export_onnx"]

D = TypeVar("D")


@dataclass(frozen=True)
class Made:
    """A folder that was written, and the figures of its dtypes in order.

    `largest`: the largest magnitude in a FastVLM's trunk; `wide_from`: the stage from which on
    float16 exports compute in float32.
    """

    folder: Path
    proofs: tuple[Proof | ClipProof, ...]
    largest: float | None
    wide_from: str | None
    seconds: float

    @property
    def remarks(self) -> list[str]:
        """What float16 has to hold, and what could not be compared, for people."""
        if self.largest is None:
            return []
        wide = f"; float32 from {self.wide_from} on" if self.wide_from else ""
        told = [f"largest magnitude in the trunk {self.largest:,.0f} (float16 holds 65,504{wide})"]
        if any(isinstance(proof, Proof) and not proof.asked for proof in self.proofs):
            told.append(f"answers were not compared: {UNASKED}")
        return told


def export_onnx(
    model: ResolvedModel, dtypes: Sequence[str], out: Path, progress: Progress = silent
) -> Made:
    """Write and prove the graphs of these dtypes; the folder appears when all of them pass.

    Raises OptionError for an unknown dtype or a folder that is there, CheckpointError,
    ExportError for an export that strays, StorageError.
    """
    clip = model.kind == "mobileclip"
    chosen = _chosen(dtypes, CLIP_DTYPES) if clip else _chosen(dtypes, DTYPES)
    check_target(out)
    started = time.monotonic()
    measured: Measured | None = None
    proofs: Sequence[Proof | ClipProof]
    with writing(out):
        if clip:
            proofs = _mobileclip(model, [CLIP_DTYPES[name] for name in chosen], out, progress)
        else:
            proofs, measured = _fastvlm(model, [DTYPES[name] for name in chosen], out, progress)
    most, wide = (measured.most, measured.wide_from) if measured else (None, None)
    return Made(out, tuple(proofs), most, wide, time.monotonic() - started)


def _chosen(names: Sequence[str], known: Mapping[str, object]) -> list[str]:
    for name in names:
        if name not in known:
            raise OptionError(f"dtype {name!r} is not possible here: use {', '.join(known)}")
    return list(dict.fromkeys(names))


# -- FastVLM ---------------------------------------------------------------------------------------


def _fastvlm(
    model: ResolvedModel, dtypes: Sequence[Dtype], out: Path, progress: Progress
) -> tuple[list[Proof], Measured]:
    source = open_checkpoint(model.folder)
    work = Work(model, out, progress)
    reference, answers = _asked(source, work)
    measured = _measured(source, work, reference)
    _, rows = image_row(source, load_tokenizer(source.folder))
    for dtype in dtypes:
        _write(work, source, dtype, measured.wide_from, rows)
    proofs = [_proved(work, source, dtype, reference, answers) for dtype in dtypes]
    names = {file_name(graph, dtype) for graph in GRAPHS for dtype in dtypes}
    half = {one.name: "float16" for one in dtypes if one.half_cache}
    write_configuration(work.folder, source, work.chunks(names), half)
    told = {
        "largest": measured.stages,
        "wide_from": measured.wide_from,
        "proofs": [proof.to_json() for proof in proofs],
    }
    forget_asked(work.folder)
    work.finish(names, fastvlm_card(model, source, work.graphs, proofs, measured), told)
    return proofs, measured


def _asked(source: Checkpoint, work: Work) -> tuple[Reference, Answers | None]:
    if kept := kept_asked(work.folder):
        return kept
    stage = Stage("asking the model itself")
    reference = reference_of(source, lambda share: work.tell(stage, 0.8 * share))
    answers = answers_of(source)
    keep_asked(work.folder, reference, answers)
    work.tell(stage, 1.0)
    return reference, answers


def _measured(source: Checkpoint, work: Work, reference: Reference) -> Measured:
    """The largest magnitudes of the trunk; a float32 vision graph is written for that."""
    if "largest" in work.notes:
        return Measured(work.notes["largest"], work.notes["wide_from"])
    stage = Stage("measuring what float16 must hold")
    work.tell(stage, 0.0)
    exact = DTYPES["fp32"]
    name = file_name(GRAPHS[0], exact)
    work.graph(name, lambda path: write_vision(source, exact, path, None))
    found = measure(work.graphs / name, source.spec.vision, reference.pixels)
    work.note(largest=found.stages, wide_from=found.wide_from)
    work.tell(stage, 1.0)
    return found


def _write(work: Work, source: Checkpoint, dtype: Dtype, wide_from: str | None, rows: int) -> None:
    """The three graphs of a dtype."""
    stage = Stage(f"writing {dtype.name}")
    source = watched(source, lambda share: work.tell(stage, share))
    vision, embedding, decoder = (file_name(graph, dtype) for graph in GRAPHS)
    wide = wide_from if dtype.vision.half else None
    work.graph(vision, lambda path: write_vision(source, dtype, path, wide))
    work.graph(embedding, lambda path: write_embedding(source, dtype, path, rows))
    work.graph(decoder, lambda path: write_decoder(source, dtype, path))
    work.tell(stage, 1.0)


def _proved(
    work: Work, source: Checkpoint, dtype: Dtype, reference: Reference, answers: Answers | None
) -> Proof:
    """The figures of a dtype, of an earlier try where it passed then."""
    passed = work.notes.get("passed", {})
    if dtype.name in passed:
        proof = read_proof(passed[dtype.name])
    else:
        with work.checking(dtype.name) as tell:
            proof = prove(work.graphs, dtype, source, reference, answers, tell)
        work.note(passed={**passed, dtype.name: proof.to_json()})
    work.tell(Stage(proof.sentence(), lasting=True), 0.0)
    return proof


# -- MobileCLIP ------------------------------------------------------------------------------------


def _mobileclip(
    model: ResolvedModel, dtypes: Sequence[ClipDtype], out: Path, progress: Progress
) -> list[ClipProof]:
    source = open_clip_checkpoint(model.folder)
    work = Work(model, out, progress)
    for dtype in dtypes:
        work.tell(Stage(f"writing {dtype.name}"), 0.0)
        for graph, write in zip(CLIP_GRAPHS, (write_image, write_text), strict=True):
            work.graph(clip_file(graph, dtype), partial(write, source, dtype))
    work.tell(Stage("asking the model itself"), 0.0)
    seen = seen_by(source)
    proofs = []
    for dtype in dtypes:
        with work.checking(dtype.name):
            proofs.append(prove_clip(work.graphs, dtype, source, seen))
        work.tell(Stage(proofs[-1].sentence(), lasting=True), 0.0)
    names = {clip_file(graph, dtype) for graph in CLIP_GRAPHS for dtype in dtypes}
    write_clip_configuration(work.folder, source, work.chunks(names))
    told = {"proofs": [proof.to_json() for proof in proofs]}
    work.finish(names, mobileclip_card(model, source, work.graphs, proofs), told)
    return proofs
