"""`galago export --to mlx` and `--to mlx-app`: folders for MLX's programs on Macs and iPhones.

`mlx` is read by mlx-vlm and mlx-swift-lm, which do all in MLX; `mlx-app` by Apple's own app
(apple/ml-fastvlm), which has its eyes in a Core ML package.  One folder has one precision.  It is
read back, dequantised and run by galago's engine, and kept only when it says what its source says.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from galago.checkpoints.folders import CONFIG, weight_files
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import Reference, reference_of
from galago.disk import read_json
from galago.errors import ExportError, OptionError
from galago.export.affine import GROUP
from galago.export.figures import Answers, Proof, answers_of, compared
from galago.export.mlx_card import mlx_card, mlx_remarks
from galago.export.mlx_weights import MLX_DTYPES, Form, MlxDtype, mlx_items, read_mlx
from galago.export.shards import write_items
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
from galago.specs import FASTVITHD, FastViTSpec, Qwen2Spec
from galago.text.tokens import Tokenizer, load_tokenizer

__all__ = ["MlxMade", "export_mlx"]

_PLACE = -200  # what mlx-vlm and mlx-swift-lm put in a prompt for a picture


@dataclass(frozen=True)
class MlxMade:
    """The folder, its figures, and what people should know of it."""

    folder: Path
    proofs: tuple[Proof, ...]
    remarks: tuple[str, ...]


def export_mlx(
    form: Form, model: ResolvedModel, dtypes: Sequence[str], out: Path, progress: Progress = silent
) -> MlxMade:
    """Write and prove a folder of one dtype; it appears when it passes.

    Raises OptionError for a folder that is there, more than one dtype, or a trunk that MLX's
    programs don't have, CheckpointError, ExportError for one that strays, StorageError.
    """
    check_target(out)
    if len(dtypes) != 1 or dtypes[0] not in MLX_DTYPES:
        raise OptionError(f"a folder for MLX has one dtype: name one of {', '.join(MLX_DTYPES)}")
    dtype = MLX_DTYPES[dtypes[0]]
    source = open_checkpoint(model.folder)
    if form == "whole":
        _check_trunk(source)
    with writing(out):
        work = Work(model, out, progress, form=f"mlx {form} {dtype.name}")
        tokenizer = load_tokenizer(source.folder)
        # mlx-vlm and mlx-swift-lm keep pictures out of the table; the app looks their id up.
        rows = image_row(source, tokenizer)[1] if form == "app" else source.spec.text.vocab
        write_items(work, mlx_items(source, dtype, form, rows), "mlx")
        write_json_files(work.folder, _files(source, tokenizer, dtype, form, rows))
        for licence in sorted(source.folder.glob("LICENSE*")):
            shutil.copyfile(licence, work.folder / licence.name)
        proof = _proved(source, work, dtype, form)
        remarks = mlx_remarks(source.spec, form)
        size = sum(path.stat().st_size for path in weight_files(work.folder))
        card = mlx_card(model, source.spec, form, proof, size, remarks)
        work.finish(set(), card, {"proofs": [proof.to_json()]})
    return MlxMade(out, (proof,), remarks)


def _check_trunk(source: Checkpoint) -> None:
    """OptionError for a trunk that mlx-swift-lm can't be told, and mlx-vlm hasn't."""
    spec = source.spec.vision
    shaped = replace(
        FASTVITHD,
        depths=spec.depths,
        widths=spec.widths,
        mixers=spec.mixers,
        mlp_ratios=spec.mlp_ratios,
        se_downsamples=(False,) * len(spec.depths),
        exp_ratio=spec.exp_ratio,
    )
    if shaped != spec or any(ratio != int(ratio) for ratio in spec.mlp_ratios):
        raise OptionError(
            f"{source.folder} can't be written for MLX: its programs have FastViTHD's trunk, of "
            "which only depths, widths, mixers and whole mlp_ratios may differ; --to mlx-app "
            "leaves the trunk to a Core ML package"
        )


# -- configuration ---------------------------------------------------------------------------------


def _files(
    source: Checkpoint, tokenizer: Tokenizer, dtype: MlxDtype, form: Form, rows: int
) -> Mapping[str, Any]:
    spec = source.spec
    image = image_row(source, tokenizer)[0]
    processor = "FastVLMProcessor" if form == "whole" else "LlavaProcessor"
    never = image if rows > spec.text.vocab else None
    return {
        **token_files(source, tokenizer, image, "Qwen2Tokenizer", parts=True),
        "generation_config.json": generation_config(spec, tokenizer, never),
        "preprocessor_config.json": image_processor(spec, "CLIPImageProcessor", processor),
        "processor_config.json": {
            "processor_class": processor,
            "image_token": IMAGE,
            "num_additional_image_tokens": 0,
            "patch_size": spec.image.stride,
        },
        CONFIG: _config(source, tokenizer, dtype, form, rows),
    }


def _config(
    source: Checkpoint, tokenizer: Tokenizer, dtype: MlxDtype, form: Form, rows: int
) -> dict[str, Any]:
    spec = source.spec
    text, vision, image = spec.text, spec.vision, spec.image
    ends = ends_of(spec, tokenizer)
    place = _PLACE if form == "whole" else image_row(source, tokenizer)[0]
    config: dict[str, Any] = {
        "architectures": ["LlavaQwen2ForCausalLM"],
        "model_type": "llava_qwen2",
        "hidden_size": text.hidden,
        "intermediate_size": text.intermediate,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.kv_heads,
        "vocab_size": rows,
        "rms_norm_eps": text.rms_eps,
        "rope_theta": text.rope_theta,
        "rope_traditional": False,
        "max_position_embeddings": text.positions,
        "tie_word_embeddings": text.tied,  # left out, it would be taken for true
        "eos_token_id": ends[0] if ends else None,
        "mm_hidden_size": vision.features,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_tower": f"mobileclip_l_{image.side}",
        "image_aspect_ratio": image.fit,
        "image_token_index": place,
        "tokenizer_model_max_length": text.positions,
        "tokenizer_padding_side": "right",
    }
    if form == "whole":
        config["vision_config"] = _vision_config(vision, image.side)
    if dtype.bits:
        config["quantization"] = {"group_size": GROUP, "bits": dtype.bits, "mode": "affine"}
    return config


def _vision_config(vision: FastViTSpec, side: int) -> dict[str, Any]:
    """Every key that mlx-swift-lm asks for; mlx-vlm has FastViTHD's as constants."""
    return {
        "model_type": "llava_qwen2",
        "layers": list(vision.depths),
        "embed_dims": list(vision.widths),
        "mlp_ratios": [int(ratio) for ratio in vision.mlp_ratios],
        "token_mixers": list(vision.mixers),
        "downsamples": [True] * len(vision.depths),
        "pos_embs_shapes": [[7, 7] if one == "attention" else None for one in vision.mixers],
        "cls_ratio": vision.exp_ratio,
        "down_patch_size": 7,
        "down_stride": 2,
        "repmixer_kernel_size": 3,
        "layer_scale_init_value": 1e-5,
        "hidden_size": 1024,
        "intermediate_size": vision.features,
        "image_size": side,
        "patch_size": vision.stride,
        "num_classes": 1000,
        "projection_dim": 1,  # of head.proj, which has one column of zeros
    }


# -- proof -----------------------------------------------------------------------------------------


def _proved(source: Checkpoint, work: Work, dtype: MlxDtype, form: Form) -> Proof:
    """ExportError, and nothing is kept, when it isn't what its source is."""
    asking = Stage("asking the model itself")
    reference = reference_of(source, lambda share: work.tell(asking, 0.8 * share))
    answers = answers_of(source)
    work.tell(asking, 1.0)
    with work.checking(dtype.name):
        proof = _compared(source, work, dtype, form, reference, answers)
    work.tell(Stage(proof.sentence(), lasting=True), 0.0)
    return proof


def _compared(
    source: Checkpoint,
    work: Work,
    dtype: MlxDtype,
    form: Form,
    reference: Reference,
    answers: Answers | None,
) -> Proof:
    config = read_json(work.folder / CONFIG)
    text = _text_of(config)
    if replace(text, vocab=source.spec.text.vocab) != source.spec.text:
        raise ExportError(f"{CONFIG} reads {text}, not {source.spec.text}")
    if form == "whole" and _vision_of(config["vision_config"]) != source.spec.vision:
        raise ExportError(f"{CONFIG} reads another trunk")
    other = read_mlx(work.folder, config, source, form, text)
    found = reference_of(other, lambda share: work.tell(Stage(f"checking {dtype.name}"), share))
    logits = [one[:, : source.spec.text.vocab] for one in found.logits]
    both = None
    if answers is not None and (theirs := answers_of(other)) is not None:
        both = answers, theirs
    return compared(dtype.name, dtype.bounds, reference, found.features, logits, both)


def _text_of(config: Mapping[str, Any]) -> Qwen2Spec:
    """The decoder as MLX's programs read it."""
    return Qwen2Spec(
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        vocab=config["vocab_size"],
        rope_theta=config["rope_theta"],
        rms_eps=config["rms_norm_eps"],
        tied=config.get("tie_word_embeddings", True),
        positions=config["tokenizer_model_max_length"],
    )


def _vision_of(config: Mapping[str, Any]) -> FastViTSpec:
    """The trunk as mlx-swift-lm reads it."""
    return replace(
        FASTVITHD,
        depths=tuple(config["layers"]),
        widths=tuple(config["embed_dims"]),
        mixers=tuple(cast(Any, config["token_mixers"])),
        mlp_ratios=tuple(float(ratio) for ratio in config["mlp_ratios"]),
        se_downsamples=(False,) * len(config["layers"]),
        exp_ratio=float(config["cls_ratio"]),
    )
