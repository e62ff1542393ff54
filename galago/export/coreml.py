"""Models as Core ML packages (.mlpackage), straight from their tensors, without a Mac or torch.

Names, shapes and types of the trunk are those that Apple's app asks for (apple/ml-fastvlm,
app/FastVLM), those of the towers are apple/coreml-mobileclip's.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.names import EMBEDDING, HEAD, PROJECTOR, VISION
from galago.checkpoints.tensors import Float, Stored, let_go, read_float
from galago.checkpoints.vlm import Checkpoint
from galago.engine.clip_weights import TABLE, image_items, read, text_items
from galago.engine.coreml import Function, Program, ct, mb, types
from galago.engine.folding import fold
from galago.export.decoder import decoder
from galago.export.mil_writer import DecoderMil, MilWriter, few_bits
from galago.export.towers import image_tower, text_tower
from galago.export.trunk import trunk
from galago.export.writer import Get
from galago.version import __version__

__all__ = [
    "HEAD_BITS",
    "context_of",
    "write_decoder",
    "write_embedding",
    "write_image",
    "write_projector",
    "write_text",
    "write_vision",
]

Var = Any
_CONTEXT = 2048  # places of a cache, which Core ML keeps whole: 25 MB of FastVLM-0.5B
# Of coremltools' passes those that find something to do here: a network comes as it is to be, and
# each pass of the usual ninety checks the whole program anew.
_PASSES = [
    f"common::{name}"
    for name in (
        "noop_elimination",
        "const_elimination",
        "const_deduplication",
        "remove_symbolic_reshape",
        "remove_redundant_ops",
        "dedup_op_and_var_names",
        "add_fp16_cast",
        "add_int16_cast",
        "update_output_dtypes",
        "guard_negative_gather_indices",
        "const_elimination",
        "cast_optimization",
        "canonicalize_inplace_pattern",
        "topological_reorder",
        "dead_code_elimination",
    )
]
HEAD_BITS = 8  # at least, of the matrix that decides between neighbouring words


def context_of(checkpoint: Checkpoint) -> int:
    """How many tokens a decoder's cache holds."""
    return min(_CONTEXT, checkpoint.spec.text.positions)


def write_vision(checkpoint: Checkpoint, path: Path) -> None:
    """images float32 [1, 3, side, side], normalised -> image_features float32 [1, N, C].

    Not projected.  Computed in float32, as Apple does it: a trunk may leave float16.
    """
    spec, side = checkpoint.spec.vision, checkpoint.spec.image.side
    g = MilWriter()

    def network(images: Var) -> Var:
        get = _in_order(
            fold(lambda name: read_float(checkpoint.tensors[VISION + name]), spec, split=False)
        )
        return g.tokens(trunk(g, images, get, spec), spec.features)

    given = {"images": mb.placeholder((1, 3, side, side))}
    made = _program(given, network, "image_features", ct.target.iOS16)
    _save(made, path, ct.target.iOS16, outputs=[_floats("image_features")])


def write_projector(checkpoint: Checkpoint, path: Path) -> None:
    """image_features float32 [1, N, C] -> inputs_embeds float16 [1, N, hidden]."""
    spec = checkpoint.spec
    g, count = MilWriter(), (spec.image.side // spec.vision.stride) ** 2

    def get(name: str) -> Float:
        return read_float(checkpoint.tensors[PROJECTOR + name])

    def network(features: Var) -> Var:
        wide = g.linear(g.gelu(g.linear(features, "0", get)), "2", get)
        return mb.cast(x=wide, dtype="fp16")

    given = {"image_features": mb.placeholder((1, count, spec.vision.features))}
    made = _program(given, network, "inputs_embeds", ct.target.iOS18)
    _save(made, path, ct.target.iOS18)


def write_embedding(checkpoint: Checkpoint, bits: int | None, path: Path) -> None:
    """input_ids int32 [1, T] -> inputs_embeds float16 [1, T, hidden]."""
    context = context_of(checkpoint)
    table = _reader(checkpoint)(EMBEDDING)

    def network(ids: Var) -> Var:
        rows = few_bits(table, bits) if bits else table.astype(np.float16)
        return mb.gather(x=rows, indices=ids, axis=0)

    free = ct.RangeDim(1, context, 1)
    given = {"input_ids": mb.placeholder((1, free.symbol), dtype=types.int32)}
    made = _program(given, network, "inputs_embeds", ct.target.iOS18)
    told = [ct.TensorType("input_ids", (1, free), dtype=np.int32)]
    _save(made, path, ct.target.iOS18, inputs=told)


def write_decoder(checkpoint: Checkpoint, bits: int | None, path: Path) -> None:
    """inputs_embeds [1, T, hidden], causal_mask [1, 1, T, S] -> logits [1, 1, vocab], all float16.

    States key_cache and value_cache float16 [layers, kv_heads, context, head_dim]: S - T tokens are
    in them before, S after.  iOS 18 and macOS 15 have states.
    """
    spec, context = checkpoint.spec.text, context_of(checkpoint)
    new, seen = (ct.RangeDim(1, context, 1) for _ in range(2))
    head = (EMBEDDING if spec.tied else HEAD).removesuffix(".weight")
    get = _reader(checkpoint)

    def network(embeds: Var, mask: Var, keys: Var, values: Var) -> Var:
        g = DecoderMil(spec, mask, (keys, values), bits)
        head_bits = max(bits, HEAD_BITS) if bits else 0
        return decoder(g, embeds, get, spec, head=head, head_bits=head_bits)

    cache = (spec.layers, spec.kv_heads, context, spec.head_dim)
    given = {
        "inputs_embeds": mb.placeholder((1, new.symbol, spec.hidden), dtype=types.fp16),
        "causal_mask": mb.placeholder((1, 1, new.symbol, seen.symbol), dtype=types.fp16),
        "key_cache": mb.state_tensor_placeholder(cache, types.fp16),
        "value_cache": mb.state_tensor_placeholder(cache, types.fp16),
    }
    made = _program(given, network, "logits", ct.target.iOS18)
    told = [
        ct.TensorType("inputs_embeds", (1, new, spec.hidden), dtype=np.float16),
        ct.TensorType("causal_mask", (1, 1, new, seen), dtype=np.float16),
    ]
    _save(made, path, ct.target.iOS18, inputs=told)


def write_image(checkpoint: ClipCheckpoint, half: bool, path: Path) -> None:
    """image, a picture of side x side -> final_emb_1 float32 [1, embed], not normalised."""
    spec = checkpoint.spec
    side, mean, std = spec.image.side, spec.image.mean, spec.image.std
    g, get = MilWriter(), _among(dict(image_items(checkpoint, split=False)))

    def network(image: Var) -> Var:
        x = image
        if any(mean) or any(one != 1 for one in std):
            shift, scale = (np.reshape(one, (1, 3, 1, 1)).astype(np.float32) for one in (mean, std))
            x = mb.mul(x=mb.sub(x=x, y=shift), y=1 / scale)
        return image_tower(g, x, get, spec)

    given = {"image": mb.placeholder((1, 3, side, side))}
    made = _program(given, network, "final_emb_1", ct.target.iOS16)
    picture = ct.ImageType("image", (1, 3, side, side), scale=1 / 255, color_layout="RGB")
    _save(made, path, ct.target.iOS16, half, inputs=[picture], outputs=[_floats("final_emb_1")])


def write_text(checkpoint: ClipCheckpoint, half: bool, path: Path) -> None:
    """text int32 [1, context], zeros behind the end -> final_emb_1 float32 [1, embed]."""
    spec = checkpoint.spec.text
    weights = dict(text_items(checkpoint))
    weights[TABLE] = checkpoint.tensors[TABLE]
    g, get = MilWriter(), _among(weights)
    given = {"text": mb.placeholder((1, spec.context), dtype=types.int32)}
    made = _program(
        given, lambda ids: text_tower(g, ids, get, spec), "final_emb_1", ct.target.iOS16
    )
    told = [ct.TensorType("text", (1, spec.context), dtype=np.int32)]
    _save(made, path, ct.target.iOS16, half, inputs=told, outputs=[_floats("final_emb_1")])


# -- packages --------------------------------------------------------------------------------------


def _floats(name: str) -> Any:
    return ct.TensorType(name, dtype=np.float32)


def _program(
    given: Mapping[str, Any], network: Callable[..., Var], output: str, target: Any
) -> Program:
    """A program of one function with one output."""
    program = Program()
    with Function(given, target) as function:
        made = network(*(function.inputs[name] for name in given))
        made.set_name(output)
        function.set_outputs([made])
    program.add_function("main", function)
    return program


def _save(program: Program, path: Path, target: Any, half: bool = False, **ports: Any) -> None:
    """`half`: computed in float16 where the program says float32."""
    precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32

    def convert(folder: Path) -> None:
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=target,
            compute_precision=precision,
            skip_model_load=True,
            pass_pipeline=ct.PassPipeline(list(_PASSES), "galago"),
            package_dir=str(folder / path.name),
            **ports,
        )
        model.author, model.version = "galago", __version__
        model.short_description = f"Made by galago {__version__}"
        model.save(str(path))

    _beside(path, convert)


def _beside(path: Path, write: Callable[[Path], None]) -> None:
    """With a place for what coremltools writes on its way, on the same disk; gone afterwards.

    OSError for a disk that is full, of which its C++ says many things but that.
    """
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix=".coreml-", dir=path.parent) as folder:
        tempfile.tempdir = folder
        try:
            write(Path(folder))
        except Exception as error:
            number = getattr(error, "errno", None)  # shutil's errors have none either
            if number == errno.ENOSPC or (number is None and _is_full(Path(folder))):
                _close_files(error, Path(folder))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
            raise
        finally:
            tempfile.tempdir = usual


def _is_full(folder: Path) -> bool:
    """Whether its disk has no room for what lies in it once more, which is what was to be done."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return shutil.disk_usage(folder).free <= size


def _close_files(error: BaseException, folder: Path) -> None:
    """What coremltools left open, while it is there and has room: closed later, each would print a
    traceback of its own."""
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    chain: BaseException | None = error
    while chain is not None:
        chain.__traceback__ = None  # whose frames hold the files
        chain = chain.__context__
    gc.collect()


# -- tensors ---------------------------------------------------------------------------------------


def _in_order(items: Iterator[tuple[str, Float]]) -> Get:
    """Tensors that are made in nearly the order in which they are asked for: few are held."""
    made: dict[str, Float] = {}

    def get(name: str) -> Float:
        while name not in made:
            made.update([next(items)])
        return made.pop(name)

    return get


def _reader(checkpoint: Checkpoint) -> Get:
    def get(name: str) -> Float:
        tensor = checkpoint.tensors[name]
        array = np.array(read_float(tensor))
        let_go(tensor)
        return array

    return get


def _among(weights: dict[str, Float | Stored]) -> Get:
    """What need not be read again is not held."""

    def get(name: str) -> Float:
        found = weights[name]
        return found if isinstance(found, np.ndarray) else read(found)

    return get
