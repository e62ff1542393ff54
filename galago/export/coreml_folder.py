"""`galago export --to coreml`: packages for iPhones and Macs, each proved before it appears.

A FastVLM becomes the trunk that Apple's app takes (`fastvithd.mlpackage`), and for programs that
do all in Core ML a projector, an embedding table and decoders; a MobileCLIP the two packages of
apple/coreml-mobileclip.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from galago import memory
from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.names import text_shapes
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import reference_of
from galago.engine.mil import Package, Port
from galago.errors import OptionError
from galago.export.clip_figures import ClipProof, seen_by
from galago.export.coreml import (
    context_of,
    write_decoder,
    write_embedding,
    write_image,
    write_projector,
    write_text,
    write_vision,
)
from galago.export.coreml_card import Listed, coreml_card, coreml_clip_card
from galago.export.coreml_proof import (
    CoreMLLanguage,
    CoreMLVision,
    expect,
    prove_coreml,
    prove_coreml_clip,
)
from galago.export.figures import Proof, answers_of
from galago.export.token_files import ends_of, token_files, write_json_files
from galago.export.transformers_js import image_row
from galago.export.transformers_js_clip import write_clip_configuration
from galago.export.work import Work, check_target, writing
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress, Stage, silent
from galago.text.tokens import load_tokenizer

__all__ = [
    "CLIP_DTYPES",
    "DTYPES",
    "CoreMLMade",
    "clip_name",
    "export_coreml",
    "need",
    "ports_of",
    "trunk_name",
]

DTYPES: dict[str, int | None] = {"fp16": None, "int8": 8, "int4": 4}  # bits of matrices
CLIP_DTYPES = ("fp16", "fp32")
APP_TOKENS, APP_WIDTH = 256, 3072  # what Apple's app has in its code
APP_TRUNK = "fastvithd"
SUFFIX = ".mlpackage"
_PROGRAM = 700_000_000  # Python, coremltools and the engine


@dataclass(frozen=True)
class CoreMLMade:
    """The folder, its figures, and what people should know of it."""

    folder: Path
    proofs: tuple[Proof | ClipProof, ...]
    remarks: tuple[str, ...]
    seconds: float


def export_coreml(
    any_trunk: bool,
    model: ResolvedModel,
    dtypes: Sequence[str],
    out: Path,
    progress: Progress = silent,
) -> CoreMLMade:
    """Write and prove the packages of these dtypes; the folder appears when all pass.

    `any_trunk`: also one whose features don't fit Apple's app.  Raises OptionError for such a trunk
    otherwise, for memory that isn't there or a folder that is, CheckpointError, ExportError for an
    export that strays, StorageError.
    """
    check_target(out)
    started = time.monotonic()
    made: tuple[Sequence[Proof | ClipProof], tuple[str, ...]]
    with writing(out):
        if model.kind == "mobileclip":
            made = _mobileclip(model, dtypes, out, progress)
        else:
            made = _fastvlm(any_trunk, model, dtypes, out, progress)
    return CoreMLMade(out, tuple(made[0]), made[1], time.monotonic() - started)


# -- FastVLM ---------------------------------------------------------------------------------------


def trunk_name(source: Checkpoint, any_trunk: bool) -> str:
    """The trunk's package; OptionError for one that Apple's app can't take, unless it may."""
    tokens, width = _seen(source)
    if (tokens, width) == (APP_TOKENS, APP_WIDTH):
        return APP_TRUNK
    if not any_trunk:
        raise OptionError(
            f"Apple's app takes a trunk with {APP_TOKENS} tokens of {APP_WIDTH} numbers, and this "
            f"model's has {tokens} of {width}: --to coreml-own writes it for an app of your own"
        )
    return f"trunk_{tokens}x{width}"


def need(source: Checkpoint, dtype: str) -> int:
    """Bytes of memory that writing a decoder takes, about: its stored matrices (int4 lies in bytes
    until it is written), the largest twice in float32, and the program.

    For FastVLM-0.5B's shape 2.8 GB, measured were 2.3; for 7B's 20 GB in fp16 and 13 in few bits.
    """
    sizes = [int(np.prod(shape)) for shape in text_shapes(source.spec.text).values()]
    return (2 if dtype == "fp16" else 1) * sum(sizes) + 8 * max(sizes) + _PROGRAM


def _seen(source: Checkpoint) -> tuple[int, int]:
    vision = source.spec.vision
    return (source.spec.image.side // vision.stride) ** 2, vision.features


def _fastvlm(
    any_trunk: bool, model: ResolvedModel, dtypes: Sequence[str], out: Path, progress: Progress
) -> tuple[list[Proof], tuple[str, ...]]:
    source = open_checkpoint(model.folder)
    trunk = trunk_name(source, any_trunk)
    wanted = _afford(source, dtypes)
    work = _work(model, out, progress)
    words = f"writing takes about {wanted / 1e9:.1f} GB of memory, the check with answers more"
    work.tell(Stage(words, lasting=True), 0.0)
    for name, write in _writers(source, trunk, dtypes).items():
        work.tell(Stage(f"writing {name}"), 0.0)
        _package(work, name, write)
    stage = Stage("asking the model itself")
    reference = reference_of(source, lambda share: work.tell(stage, 0.8 * share), whole=True)
    answers = answers_of(source, whole=True)
    work.tell(stage, 1.0)
    ports = ports_of(source, trunk)
    proofs, largest = [], 0.0
    listed: list[Listed] = []
    vision = CoreMLVision(*(_opened(work, name, ports, listed) for name in (trunk, "projector")))
    tables: dict[str, Package] = {}
    for dtype in dtypes:
        with work.checking(dtype) as tell:
            table = _table(dtype)
            if table not in tables:
                tables[table] = _opened(work, table, ports, listed)
            decoder = _opened(work, f"decoder_{dtype}", ports, listed)
            language = CoreMLLanguage(tables[table], decoder, source.spec.text)
            proof, most = prove_coreml(dtype, vision, language, source, reference, answers, tell)
        proofs.append(proof)
        largest = max(largest, most)
        work.tell(Stage(proof.sentence(), lasting=True), 0.0)
    write_json_files(work.folder, _files(source))
    told = {"largest": largest, "proofs": [proof.to_json() for proof in proofs]}
    work.finish(
        set(), coreml_card(model, source, listed, proofs, largest, trunk == APP_TRUNK), told
    )
    said = [f"largest magnitude in the decoder {largest:,.0f} (float16 holds 65,504)"]
    if trunk != APP_TRUNK:
        said.append(f"{trunk}{SUFFIX} doesn't fit Apple's app: it is for one of your own")
    return proofs, tuple(said)


def _afford(source: Checkpoint, dtypes: Sequence[str]) -> int:
    """The bytes that it takes; OptionError where they aren't free."""
    free, wanted = memory.available(), max(need(source, dtype) for dtype in dtypes)
    if free is not None and wanted > free:
        raise OptionError(
            f"writing this decoder to Core ML takes about {wanted / 1e9:.0f} GB of memory and "
            f"{free / 1e9:.0f} GB are free: close other programs, or use a larger computer"
        )
    return wanted


def _table(dtype: str) -> str:
    return "embed_tokens_fp16" if dtype == "fp16" else "embed_tokens_int8"


def _writers(
    source: Checkpoint, trunk: str, dtypes: Sequence[str]
) -> dict[str, Callable[[Path], None]]:
    """Names without the suffix, and what writes them."""
    found: dict[str, Callable[[Path], None]] = {
        trunk: partial(write_vision, source),
        "projector": partial(write_projector, source),
    }
    for dtype in dtypes:
        bits = DTYPES[dtype]
        found[_table(dtype)] = partial(write_embedding, source, bits and 8)
        found[f"decoder_{dtype}"] = partial(write_decoder, source, bits)
    return found


def ports_of(source: Checkpoint, trunk: str) -> dict[str, dict[str, Port]]:
    """What each package must have; a table's and a decoder's outputs have no shape of their own."""
    text, side, context = source.spec.text, source.spec.image.side, context_of(source)
    tokens, width = _seen(source)
    free = (1, context)
    features = Port("float32", (1, tokens, width))
    cache = Port("float16", (text.layers, text.kv_heads, context, text.head_dim))
    table = {
        "input_ids": Port("int32", (1, free)),
        "inputs_embeds": Port("float16", ()),
    }
    decoder = {
        "inputs_embeds": Port("float16", (1, free, text.hidden)),
        "causal_mask": Port("float16", (1, 1, free, free)),
        "logits": Port("float16", (1, 1, text.vocab)),
        "key_cache": cache,
        "value_cache": cache,
    }
    return {
        trunk: {"images": Port("float32", (1, 3, side, side)), "image_features": features},
        "projector": {
            "image_features": features,
            "inputs_embeds": Port("float16", (1, tokens, text.hidden)),
        },
        "embed_tokens_fp16": table,
        "embed_tokens_int8": table,
        **{f"decoder_{dtype}": decoder for dtype in DTYPES},
    }


def _files(source: Checkpoint) -> dict[str, Any]:
    """Tokenizer and template for swift-transformers, and what a program must know beside."""
    spec, tokenizer = source.spec, load_tokenizer(source.folder)
    image, _ = image_row(source, tokenizer)
    about = {
        "side": spec.image.side,
        "fit": spec.image.fit,
        "mean": list(spec.image.mean),
        "std": list(spec.image.std),
        "image_tokens": _seen(source)[0],
        "image_token_id": image,
        "context": context_of(source),
        "eos_ids": ends_of(spec, tokenizer),
        "system": spec.prompt.system,
    }
    return {**token_files(source, tokenizer, image, "Qwen2Tokenizer"), "galago.json": about}


# -- MobileCLIP ------------------------------------------------------------------------------------


def clip_name(model: ResolvedModel) -> str:
    """As Apple calls it: mobileclip_s0, mobileclip2_s4, mobileclip_blt; of one's own its name.

    Xcode makes a class of it, so what can't stand in one becomes an underscore.
    """
    name = re.split(r"[/\\]", model.name.rstrip("/\\"))[-1].removesuffix("-OpenCLIP").lower()
    name = re.sub(r"\W+", "_", name.replace("-lt", "lt").replace("-b-", "-b"), flags=re.ASCII)
    return name if name[:1].isalpha() else f"clip_{name}"


def _mobileclip(
    model: ResolvedModel, dtypes: Sequence[str], out: Path, progress: Progress
) -> tuple[list[ClipProof], tuple[str, ...]]:
    if len(dtypes) != 1:
        raise OptionError("Apple's names leave room for one dtype a folder: name fp16 or fp32")
    source, dtype = open_clip_checkpoint(model.folder), dtypes[0]
    half, name = dtype == "fp16", clip_name(model)
    work = _work(model, out, progress)
    image, text = f"{name}_image", f"{name}_text"
    work.tell(Stage(f"writing {dtype}"), 0.0)
    # What was written before a stop may be of another dtype: its notes name it.
    _package(work, image, partial(write_image, source, half), dtype)
    _package(work, text, partial(write_text, source, half), dtype)
    work.tell(Stage("asking the model itself"), 0.0)
    seen = seen_by(source)
    spec, listed = source.spec, list[Listed]()
    vector = Port("float32", (1, spec.embed))
    ports = {
        image: {
            "image": Port("image", (3, spec.image.side, spec.image.side)),
            "final_emb_1": vector,
        },
        text: {"text": Port("int32", (1, spec.text.context)), "final_emb_1": vector},
    }
    with work.checking(dtype):
        images, texts = (_opened(work, part, ports, listed) for part in (image, text))
        proof, largest = prove_coreml_clip(dtype, images, texts, source, seen)
    work.tell(Stage(proof.sentence(), lasting=True), 0.0)
    write_clip_configuration(work.folder, source, {})
    told = {"largest": largest, "proofs": [proof.to_json()]}
    work.finish(set(), coreml_clip_card(model, source, listed, proof, largest), told)
    return [proof], ()


# -- the folder ------------------------------------------------------------------------------------


def _work(model: ResolvedModel, out: Path, progress: Progress) -> Work:
    work = Work(model, out, progress, "coreml")
    for left in work.folder.glob(".coreml-*"):  # of one that was killed
        shutil.rmtree(left, ignore_errors=True)
    return work


def _package(work: Work, name: str, write: Callable[[Path], None], mark: str | None = None) -> None:
    """Have a package written, unless it is there whole, with the same mark."""
    file = f"{name}{SUFFIX}"
    marks: Mapping[str, str | None] = work.notes.get("marks", {})
    if file in work.notes["chunks"] and marks.get(file) != mark:
        work.note(chunks={key: at for key, at in work.notes["chunks"].items() if key != file})

    def written(path: Path) -> int:
        write(path)
        return 0

    work.note(marks={**marks, file: mark})
    work.graph(file, written)


def _opened(
    work: Work, name: str, ports: Mapping[str, Mapping[str, Port]], listed: list[Listed]
) -> Package:
    """Read back, as it should be, and listed for the card."""
    path = work.graphs / f"{name}{SUFFIX}"
    package = Package(path)
    expect(package, path, ports[name])
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    listed.append(Listed(path.name, size, package.inputs, package.states, package.outputs))
    return package
