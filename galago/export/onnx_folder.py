"""`galago export MODEL --to onnx`: a folder for transformers.js, ONNX Runtime and OpenVINO.

Written beside its place and put there when every dtype has proved itself.  What was written before
an interruption is kept and not written again, if the source is the same.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import Reference, reference_of
from galago.disk import discard_folder, refusals
from galago.errors import ExportError, OptionError
from galago.export.card import card
from galago.export.fastvlm import (
    DTYPES,
    GRAPHS,
    Dtype,
    file_name,
    write_decoder,
    write_embedding,
    write_vision,
)
from galago.export.overflow import Measured, measure
from galago.export.proof import Answers, Proof, answers_of, prove
from galago.export.transformers_js import image_row, write_configuration
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress, Stage, silent
from galago.text.tokens import load_tokenizer
from galago.version import __version__

__all__ = ["Exported", "check_target", "export_fastvlm"]

_NOTES = "galago-export.json"
_FORMAT = 1  # of what is written; another one is written anew


@dataclass(frozen=True)
class Exported:
    """A folder that was written; `proofs` in the order of its dtypes."""

    folder: Path
    proofs: tuple[Proof, ...]
    largest: float
    wide_from: str | None
    seconds: float


def check_target(folder: Path) -> None:
    """OptionError when something is there that would be written over."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise OptionError(f"{folder} is there already: name a folder that isn't, or remove it")


def export_fastvlm(
    model: ResolvedModel, dtypes: Sequence[str], out: Path, progress: Progress = silent
) -> Exported:
    """Write and prove the graphs of these dtypes; the folder appears when all of them pass.

    Raises OptionError for an unknown dtype or a folder that is there, CheckpointError,
    ExportError for an export that strays, StorageError.
    """
    chosen = [_dtype(name) for name in dict.fromkeys(dtypes)]
    check_target(out)
    started = time.monotonic()
    source = open_checkpoint(model.folder)
    refused = refusals(
        full=f"the disk that holds {out.parent} is full: make room and run the same command again; "
        "what was written is kept",
        other=lambda error: f"{out} can't be written ({error.strerror or error})",
    )
    with refused:
        work = _Work(source, model, out, progress)
        measured = work.measured()
        for dtype in chosen:
            work.write(dtype, measured.wide_from)
        proofs = work.prove(chosen)
        work.finish(chosen, proofs, measured)
    return Exported(
        out, tuple(proofs), measured.most, measured.wide_from, time.monotonic() - started
    )


def _dtype(name: str) -> Dtype:
    if name not in DTYPES:
        raise OptionError(f"dtype {name!r} is not known: use {', '.join(DTYPES)}")
    return DTYPES[name]


class _Work:
    """One export in the folder beside its place, continued if it was begun."""

    def __init__(
        self, source: Checkpoint, model: ResolvedModel, out: Path, progress: Progress
    ) -> None:
        self._source, self._model, self._out, self._tell = source, model, out, progress
        self._folder = out.with_name(f".{out.name}.galago-export")
        self._graphs = self._folder / "onnx"
        out.parent.mkdir(parents=True, exist_ok=True)
        begun = {"format": _FORMAT, "version": __version__, "source": model.digest}
        if _read(self._folder / _NOTES).get("begun") != begun:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._graphs.mkdir(parents=True, exist_ok=True)
        self._notes: dict[str, Any] = {"chunks": {}, **_read(self._folder / _NOTES)}
        self._note(begun=begun)
        self._reference: Reference | None = None
        self._answers: Answers | None = None

    def measured(self) -> Measured:
        """The largest magnitudes of the trunk; a float32 vision graph is written for that."""
        if "largest" in self._notes:
            return Measured(self._notes["largest"], self._notes["wide_from"])
        exact = DTYPES["fp32"]
        self._tell(Stage("writing vision in fp32"), 0.0)
        self._graph(exact, GRAPHS[0], lambda path: write_vision(self._source, exact, path, None))
        pixels = self.reference().pixels
        stage = Stage("measuring what float16 must hold")
        self._tell(stage, 0.0)
        path = self._graphs / file_name(GRAPHS[0], exact)
        found = measure(path, self._source.spec.vision, pixels)
        self._note(largest=found.stages, wide_from=found.wide_from)
        self._tell(stage, 1.0)
        return found

    def reference(self) -> Reference:
        if self._reference is None:
            stage = Stage("asking the model itself")
            self._reference = reference_of(self._source, lambda s: self._tell(stage, 0.8 * s))
            self._answers = answers_of(self._source)
            self._tell(stage, 1.0)
        return self._reference

    def write(self, dtype: Dtype, wide_from: str | None) -> None:
        """The three graphs of a dtype, those that aren't there yet."""
        source = self._source
        stage = Stage(f"writing {dtype.name}")
        self._tell(stage, 0.0)
        _, rows = image_row(source, load_tokenizer(source.folder))
        wide = wide_from if dtype.vision.half else None
        self._graph(dtype, GRAPHS[0], lambda path: write_vision(source, dtype, path, wide))
        self._graph(dtype, GRAPHS[1], lambda path: write_embedding(source, dtype, path, rows))
        self._tell(stage, 0.5)
        self._graph(dtype, GRAPHS[2], lambda path: write_decoder(source, dtype, path))
        self._tell(stage, 1.0)

    def _graph(self, dtype: Dtype, graph: str, write: Callable[[Path], int]) -> None:
        name = file_name(graph, dtype)
        if name in self._notes["chunks"]:
            return
        for left in self._graphs.glob(f"{name}*"):  # of a try that was stopped
            left.unlink()
        self._note(chunks={**self._notes["chunks"], name: write(self._graphs / name)})

    def prove(self, dtypes: Sequence[Dtype]) -> list[Proof]:
        reference = self.reference()
        proofs = []
        for dtype in dtypes:
            stage = Stage(f"checking {dtype.name}")
            self._tell(stage, 0.0)
            try:
                proof = prove(self._graphs, dtype, self._source, reference, self._answers)
            except ExportError:
                shutil.rmtree(self._folder, ignore_errors=True)
                raise
            proofs.append(proof)
            self._tell(stage, 1.0)
            self._tell(Stage(proof.sentence(), lasting=True), 0.0)
        return proofs

    def finish(self, dtypes: Sequence[Dtype], proofs: Sequence[Proof], measured: Measured) -> None:
        """Configuration and card; then the folder takes its place."""
        wanted = {file_name(graph, dtype) for graph in GRAPHS for dtype in dtypes}
        for path in self._graphs.iterdir():  # of other dtypes: the measured one, an earlier try
            if path.name.split(".onnx")[0] + ".onnx" not in wanted:
                path.unlink()
        chunks = {name: n for name, n in self._notes["chunks"].items() if n and name in wanted}
        half = {one.name: "float16" for one in dtypes if one.half_cache}
        write_configuration(self._folder, self._source, chunks, half)
        text = card(self._model, self._source, self._graphs, proofs, measured)
        (self._folder / "README.md").write_text(text, encoding="utf-8")
        told = {
            "begun": self._notes["begun"],
            "largest": measured.stages,
            "wide_from": measured.wide_from,
            "proofs": [proof.to_json() for proof in proofs],
        }
        (self._folder / _NOTES).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        discard_folder(self._out)  # an empty one
        self._folder.replace(self._out)

    def _note(self, **values: object) -> None:
        self._notes |= values
        path = self._folder / _NOTES
        part = path.with_suffix(".part")
        part.write_text(json.dumps(self._notes), encoding="utf-8")
        part.replace(path)


def _read(path: Path) -> Mapping[str, Any]:
    """The notes of an export that was begun; nothing when there are none that can be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
