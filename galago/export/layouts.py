"""`galago export --to transformers` and `--to llava`: the published layouts of a FastVLM, each
rewritten as the other, bit for bit.

What was fine-tuned in one goes on in programs that read the other.  Nothing is converted: tensors
keep their numbers and types under other names, and both folders are opened by galago itself and
compared before they are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from galago.checkpoints.folders import CONFIG
from galago.checkpoints.names import EMBEDDING, HEAD, llava_to_fast_vlm
from galago.checkpoints.tensors import NUMPY_TYPES, Array, Entry, Stored, let_go
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.checkpoints.writing import fast_vlm_config, llava_config
from galago.convert.selfcheck import PASSAGE
from galago.errors import ExportError, OptionError
from galago.export.card_head import head
from galago.export.shards import Item, as_stored, rows_of, write_items
from galago.export.token_files import (
    ends_of,
    generation_config,
    image_processor,
    token_files,
    write_json_files,
)
from galago.export.transformers_js import IMAGE, image_row
from galago.export.work import Work, check_target, writing
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress, Stage, silent
from galago.specs import FASTVITHD, ImageSpec, Qwen2Spec
from galago.text.tokens import Tokenizer, load_tokenizer

__all__ = ["STORED", "Rewritten", "Same", "export_layout"]

Layout = Literal["transformers", "llava"]
STORED = "stored"  # the one "dtype" of a layout: each tensor's own
_TORCH = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclass(frozen=True)
class Same:
    """What was found equal, bit for bit, when the folder was opened again.

    `rows`: of zeros that the embedding has got (or lost, below 0) for `<image>`.
    """

    dtype: str
    tensors: int
    bytes: int
    rows: int
    passed: bool = True

    def to_json(self) -> dict[str, Any]:
        """The figures, in one level."""
        return asdict(self)

    def sentence(self) -> str:
        """One line for people."""
        return f"{self.tensors} tensors ({self.bytes / 1e6:,.1f} MB) are the same, bit for bit"


@dataclass(frozen=True)
class Rewritten:
    """The folder, and what people should know of it."""

    folder: Path
    proofs: tuple[Same, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """`image`: the id of `<image>` in the new tokenizer, None where it has none; `rows`: of the
    new embedding."""

    layout: Layout
    source: Checkpoint
    tokenizer: Tokenizer
    image: int | None
    rows: int

    @property
    def added(self) -> int:
        return self.rows - self.source.spec.text.vocab

    @property
    def text(self) -> Qwen2Spec:
        return replace(self.source.spec.text, vocab=self.rows)

    @property
    def dtype(self) -> str:
        """The type of most numbers."""
        sizes: dict[str, int] = {}
        for tensor in self.source.tensors.values():
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + int(np.prod(tensor.shape))
        return max(sizes, key=lambda one: sizes[one])

    def name(self, canonical: str) -> str:
        if self.layout == "llava":
            return canonical
        return llava_to_fast_vlm(canonical, self.source.spec.vision)


def export_layout(
    layout: Layout, model: ResolvedModel, out: Path, progress: Progress = silent
) -> Rewritten:
    """Write and compare; the folder appears when all is the same.

    Raises OptionError for a folder that is there, a model of that layout already or one whose
    trunk the layout can't describe, CheckpointError, ExportError, StorageError.
    """
    check_target(out)
    plan = _plan(layout, open_checkpoint(model.folder))
    with writing(out):
        work = Work(model, out, progress, form=layout)
        write_items(work, _items(plan), "pt")
        write_json_files(work.folder, _files(plan))
        for licence in sorted(plan.source.folder.glob("LICENSE*")):
            shutil.copyfile(licence, work.folder / licence.name)
        proof = _proved(plan, work)
        remarks = _remarks(plan)
        card = "\n".join([*head(model, _NAMES[layout]), *_card(plan, proof, remarks), ""])
        work.finish(set(), card, {"proofs": [proof.to_json()]})
    return Rewritten(out, (proof,), remarks)


_NAMES = {"transformers": "the layout of transformers (fast_vlm)", "llava": "LLaVA's layout"}


def _plan(layout: Layout, source: Checkpoint) -> _Plan:
    spec = source.spec
    same = spec.layout == {"transformers": "fast_vlm", "llava": "llava_qwen2"}[layout]
    if same and not source.adapter:  # an adapter becomes the whole model
        raise OptionError(f"{source.folder} has the layout {spec.layout} already: copy the folder")
    tokenizer = load_tokenizer(source.folder)
    vocab = spec.text.vocab
    if layout == "transformers":
        plan = _Plan(layout, source, tokenizer, *image_row(source, tokenizer))
        try:
            _config(plan)
        except ValueError:
            raise OptionError(
                f"{source.folder} can't be written for transformers: its timm has no trunk of this "
                "shape (fastvit_mci3 with other depths and widths is what it can have)"
            ) from None
        return plan
    image = tokenizer.token_id(IMAGE)
    if image == vocab - 1 and _is_zero(source, image):
        return _Plan(layout, source, tokenizer, None, image)
    return _Plan(layout, source, tokenizer, image, vocab)


def _is_zero(source: Checkpoint, row: int) -> bool:
    """Whether the row was added for `<image>` alone, and nothing was learnt in it."""
    names = [EMBEDDING] if source.spec.text.tied else [EMBEDDING, HEAD]
    return not any(source.tensors[name].read()[row].any() for name in names)


# -- what is written -------------------------------------------------------------------------------


def _items(plan: _Plan) -> list[Item]:
    return [
        _resized(plan.name(name), tensor, plan.rows)
        if name in (EMBEDDING, HEAD) and plan.added
        else as_stored(plan.name(name), tensor)
        for name, tensor in plan.source.tensors.items()
    ]


def _resized(name: str, tensor: Stored, rows: int) -> Item:
    """With rows of zeros behind, or without the last ones."""
    shape = (rows, *tensor.shape[1:])

    def pieces() -> list[tuple[str, Array]]:
        kept = _cut(tensor, rows)
        more = np.zeros((max(0, rows - tensor.shape[0]), *shape[1:]), NUMPY_TYPES[tensor.dtype])
        return [(name, run) for run in [*kept, more]]

    return Item({name: Entry(tensor.dtype, shape)}, pieces)


def _cut(tensor: Stored, rows: int) -> list[Array]:
    found, left = [], rows
    for run in rows_of(tensor):
        found.append(run[:left])
        left -= len(found[-1])
    return found


def _config(plan: _Plan) -> dict[str, Any]:
    spec = plan.source.spec
    ends = ends_of(spec, plan.tokenizer)
    if plan.layout == "transformers":
        assert plan.image is not None
        return fast_vlm_config(
            spec.vision,
            plan.text,
            spec.image,
            image_id=plan.image,
            ends=ends,
            dtype=_TORCH[plan.dtype],
        )
    name = spec.name if spec.layout == "galago" else None
    config = llava_config(
        spec.vision, plan.text, spec.image, end=ends[0] if ends else None, name=name
    )
    told = {
        "architectures": ["LlavaQwen2ForCausalLM"],
        "torch_dtype": _TORCH[plan.dtype],
        "hidden_act": "silu",
        "max_position_embeddings": spec.text.positions,
        "mm_patch_merge_type": "flat",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "tokenizer_padding_side": "right",
        "unfreeze_mm_vision_tower": True,
        "use_mm_proj": True,
    }
    return {**told, **config}


def _files(plan: _Plan) -> Mapping[str, Any]:
    spec, tokenizer = plan.source.spec, plan.tokenizer
    own_row = plan.image if plan.image is not None and plan.added > 0 else None
    files: dict[str, Any] = {"generation_config.json": generation_config(spec, tokenizer, own_row)}
    if plan.layout == "transformers":
        kind = "LlavaImageProcessor" if spec.image.fit == "pad" else "CLIPImageProcessor"
        files |= token_files(plan.source, tokenizer, plan.image, "PreTrainedTokenizerFast")
        files["preprocessor_config.json"] = image_processor(spec, kind, "LlavaProcessor")
        files["processor_config.json"] = {
            "processor_class": "LlavaProcessor",
            "image_token": IMAGE,
            "num_additional_image_tokens": 0,
            "patch_size": spec.image.stride,
            "vision_feature_select_strategy": "full",
        }
    else:
        files |= token_files(plan.source, tokenizer, plan.image, "Qwen2Tokenizer", parts=True)
    return files | {CONFIG: _config(plan)}


# -- what is compared ------------------------------------------------------------------------------


def _proved(plan: _Plan, work: Work) -> Same:
    """ExportError, and nothing is kept, when anything came out otherwise."""
    stage = Stage("comparing")
    try:
        opened = open_checkpoint(work.folder)
        _same_spec(plan, opened)
        size = 0
        for at, (name, tensor) in enumerate(plan.source.tensors.items()):
            work.tell(stage, at / len(plan.source.tensors))
            size += _same_tensor(name, tensor, opened.tensors[name], plan.added)
        ids = [load_tokenizer(one.folder).encode(PASSAGE) for one in (plan.source, opened)]
        if ids[0] != ids[1]:
            raise ExportError("its tokenizer reads words otherwise")
    except ExportError as error:
        work.give_up()
        raise ExportError(f"the folder is not its source and was not kept: {error}") from None
    work.tell(stage, 1.0)
    proof = Same(STORED, len(plan.source.tensors), size, plan.added)
    work.tell(Stage(proof.sentence(), lasting=True), 0.0)
    return proof


def _same_spec(plan: _Plan, opened: Checkpoint) -> None:
    spec, found = plan.source.spec, opened.spec
    pairs = {
        "the trunk": (spec.vision, found.vision),
        "the decoder": (plan.text, found.text),
        "how pictures are prepared": (spec.image, found.image),
        "what ends a reply": (set(ends_of(spec, plan.tokenizer)), set(found.eos_ids)),
    }
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise ExportError(f"{what} reads {theirs}, not {ours}")


def _same_tensor(name: str, source: Stored, other: Stored, added: int) -> int:
    """How many bytes are the same; ExportError when one isn't."""
    grown = added if name in (EMBEDDING, HEAD) else 0
    shape = (source.shape[0] + grown, *source.shape[1:]) if source.shape else ()
    same = other.dtype == source.dtype and other.shape == shape
    ours, theirs = source.read(), other.read()
    if same and source.shape:
        rows = min(source.shape[0], shape[0])
        step = max(1, (32 << 20) // max(1, ours[:1].size))
        same = all(
            ours[at : min(at + step, rows)].tobytes() == theirs[at : min(at + step, rows)].tobytes()
            for at in range(0, rows, step)
        )
        same = same and not theirs[rows:].any() and not ours[rows:].any()
    if not same:
        raise ExportError(f"the tensor {name} is another one")
    size = int(min(ours.nbytes, theirs.nbytes))
    let_go(source)
    let_go(other)
    return size


# -- what is told ----------------------------------------------------------------------------------


def _remarks(plan: _Plan) -> tuple[str, ...]:
    spec, found = plan.source.spec, []
    if plan.added > 0:
        found.append(
            f"{IMAGE} has got a row of zeros in the embedding (id {plan.image}), as all others are "
            "in use; generation_config.json keeps replies from choosing it"
        )
    elif plan.added < 0:
        found.append(f"the row of zeros that {IMAGE} had in the embedding was left out again")
    shaped = spec.vision != FASTVITHD
    if plan.layout == "llava" and (shaped or spec.image != ImageSpec(spec.image.side)):
        found.append(
            "its trunk or how pictures are prepared is not FastViTHD's: galago reads that in the "
            'block "galago" of config.json, Apple\'s own code does not'
        )
    if plan.layout == "transformers" and spec.image.fit == "pad":
        found.append("pictures are padded to a square by transformers' LlavaImageProcessor")
    return tuple(found)


def _card(plan: _Plan, proof: Same, remarks: Sequence[str]) -> list[str]:
    use = _USE_TRANSFORMERS if plan.layout == "transformers" else _USE_LLAVA
    lines = [
        f"Weights: {_TORCH[plan.dtype]}, as they were stored. Pictures: "
        f"{plan.source.spec.image.side} px square.",
        "",
        "## How it was checked",
        "",
        f"galago opened the folder again: {proof.sentence()}; so are the trunk, the decoder, the "
        "tokenizer, what ends a reply and how pictures are prepared.",
        "",
    ]
    lines += [f"- {remark[:1].upper()}{remark[1:]}." for remark in remarks]
    return [*lines, "", "## Use", "", use]


_USE_TRANSFORMERS = """\
```python
import torch
from PIL import Image
from transformers import AutoProcessor, FastVlmForConditionalGeneration

model = FastVlmForConditionalGeneration.from_pretrained("path/to/this/folder", dtype=torch.bfloat16)
processor = AutoProcessor.from_pretrained("path/to/this/folder")
asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
prompt = processor.apply_chat_template(asked, add_generation_prompt=True)
inputs = processor(images=Image.open("photo.jpg"), text=prompt, return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=128)
print(processor.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
```"""
_USE_LLAVA = """\
    galago describe photo.jpg --model path/to/this/folder

The folder is laid out as Apple's are (apple/ml-fastvlm): its `predict.py --model-path`, Apple's
export for its app and mlx-vlm's converter read such folders."""
