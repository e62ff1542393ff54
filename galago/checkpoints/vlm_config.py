"""Configuration files of the published layouts -> VLMSpec.

Only what is needed is read; what galago cannot compute faithfully (another model type, scaled
rotary positions, another projector) is refused in one line instead of being run wrongly.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from galago import specs
from galago.checkpoints.fields import Fields
from galago.checkpoints.folders import CONFIG
from galago.checkpoints.limits import check_vlm
from galago.checkpoints.names import EMBEDDING, HEAD, NOT_WHOLE, PROJECTOR, fast_vlm_to_llava
from galago.checkpoints.vision_config import (
    TIMM_TRUNKS,
    Json,
    check_format,
    checked_trunk,
    fields,
    own_trunk,
    resampling,
    triple,
)
from galago.disk import optional_json, read_json, read_text
from galago.errors import CheckpointError, GalagoError
from galago.specs import FastViTSpec, ImageSpec, PromptSpec, Qwen2Spec, VLMSpec

Stored = Mapping[str, tuple[int, ...]]  # names and shapes of a folder's tensors

_LLAVA_TRUNKS = {"mobileclip_l": specs.FASTVITHD}
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")


def read_spec(folder: Path, config: Json, stored: Stored) -> VLMSpec:
    """The spec of a model folder from its config.json and the shapes of its tensors."""
    fields = Fields(folder / CONFIG, config)
    kind = config.get("model_type")
    try:
        read = {"llava_qwen2": _llava, "fast_vlm": _fast_vlm}.get(str(kind))
        if read is not None:
            _check_quantised(fields)
            _check_template(folder)
            spec = read(folder, fields, stored)
            check_vlm(spec, len(stored))
            return spec
    except GalagoError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = repr(error)[:160]
        raise CheckpointError(f"{folder / CONFIG} is incomplete or damaged ({reason})") from None
    raise CheckpointError(
        f"{folder} has model_type {kind!r:.80}; galago runs llava_qwen2 and fast_vlm (FastVLM)"
    )


def _check_quantised(config: Fields) -> None:
    for key in ("quantization_config", "compression_config"):
        config.only(key, why="save the model in full precision, galago quantises it itself")


def _check_template(folder: Path) -> None:
    """CheckpointError for a chat template that isn't ChatML, the one that galago writes."""
    for name in _TEMPLATES:
        path = folder / name
        if not os.path.lexists(path):
            continue
        if name.endswith(".json"):
            template = read_json(path).get("chat_template")
        else:
            template = read_text(path)
        # Several templates have names: {"name": "default", "template": …}.
        for one in template if isinstance(template, list) else [template]:
            text = one.get("template") if isinstance(one, dict) else one
            if text and not all(mark in str(text) for mark in _CHATML):
                raise CheckpointError(
                    f"{path}: chat_template is not ChatML ({' … '.join(_CHATML)}), the one that "
                    "FastVLM was trained with and galago writes"
                )


_CHATML = ("<|im_start|>", "<|im_end|>")


def _llava(folder: Path, config: Fields, stored: Stored) -> VLMSpec:
    config.only("mm_projector_type", "mlp2x_gelu")
    config.only("image_aspect_ratio", "pad", "square", "crop")
    config.only("mm_patch_merge_type", "flat")
    config.off("mm_use_im_start_end")  # mm_use_im_patch_token: a token that no prompt holds
    own = config.values.get("galago")
    if own is not None:
        vision, image = _own_block(folder, own)
    else:
        vision, image = _llava_tower(folder, config)
    rows = _projector_rows(folder, stored, f"{PROJECTOR}{{}}.weight", ("0", "2"))
    return VLMSpec(
        name=str((own or {}).get("name") or folder.name),
        layout="galago" if own is not None else "llava_qwen2",
        vision=vision,
        text=_text(config, stored, (config,), _vocab(folder, stored, EMBEDDING)),
        image=image,
        projector=rows,
        eos_ids=_eos(folder, config),
        prompt=PromptSpec(),
    )


def _own_block(folder: Path, own: Json) -> tuple[FastViTSpec, ImageSpec]:
    """The "galago" block of galago's own models: {"format": 1, "vision": {…}, "image": {…}}."""
    check_format(folder, own)
    return own_trunk(own), ImageSpec(**fields(own["image"]))


def _llava_tower(folder: Path, config: Fields) -> tuple[FastViTSpec, ImageSpec]:
    tower = config.text("mm_vision_tower")
    match = re.fullmatch(r"(.*)_(\d{1,4})", tower.rsplit("/", 1)[-1])
    if not match or match[1] not in _LLAVA_TRUNKS:
        raise CheckpointError(f"{folder}: vision tower {tower!r:.80} is not known")
    # llava's own code pads only when the config says so and otherwise crops the centre.
    fit: specs.Fit = "pad" if config.values.get("image_aspect_ratio") == "pad" else "crop"
    return _LLAVA_TRUNKS[match[1]], ImageSpec(side=int(match[2]), fit=fit)


def _fast_vlm(folder: Path, config: Fields, stored: Stored) -> VLMSpec:
    vision, text = config.table("vision_config", needed=True), config.table("text_config")
    own = config.values.get("galago")
    if own is not None:
        trunk, image = _own_block(folder, own)
    else:
        trunk, image = _timm_trunk(folder, vision), _processor(folder)
    config.only("projector_hidden_act", "gelu")
    config.only("multimodal_projector_bias", True)
    config.only("vision_feature_select_strategy", "full")
    config.only("vision_feature_layer", -1)
    text.only("model_type", "qwen2")
    _check_quantised(text)
    names = {fast_vlm_to_llava(name, trunk): shape for name, shape in stored.items()}
    rows = _projector_rows(folder, names, f"{PROJECTOR}{{}}.weight", ("0", "2"))
    return VLMSpec(
        name=folder.name,
        layout="fast_vlm",
        vision=trunk,
        text=_text(text, names, (text, config), _vocab(folder, names, EMBEDDING)),
        image=image,
        projector=rows,
        eos_ids=_eos(folder, config if "eos_token_id" in config else text),
        prompt=PromptSpec(image_token_id=_image_token(config)),
    )


def _image_token(config: Fields) -> int:
    for key in ("image_token_index", "image_token_id"):
        if key in config:
            return config.whole(key)
    return 151646


def _timm_trunk(folder: Path, vision: Fields) -> FastViTSpec:
    name = vision.text("architecture", "").split(".")[0]
    trunk = TIMM_TRUNKS.get(name)
    if trunk is None:
        raise CheckpointError(f"{folder}: vision architecture {name!r:.80} is not known")
    given = vision.table("model_args")
    for key in given.values:
        if key not in TIMM_ARGS and key not in _TIMM_IDLE:
            given.only(key)
    given.only("in_chans", 3)
    changes = {k: v for k, v in given.values.items() if k in TIMM_ARGS}
    if not changes:
        return trunk
    return checked_trunk(replace(trunk, **fields({TIMM_ARGS[k]: v for k, v in changes.items()})))


# timm's constructor arguments that reshape a trunk, and the FastViTSpec fields they set.
TIMM_ARGS = {
    "layers": "depths",
    "embed_dims": "widths",
    "token_mixers": "mixers",
    "mlp_ratios": "mlp_ratios",
    "se_downsamples": "se_downsamples",
    "cls_ratio": "exp_ratio",
    "lkc_use_act": "downsample_act",
}
# ... and those that change nothing of a trained trunk without its classifier.
_TIMM_IDLE = {
    "inference_mode", "num_classes", "global_pool", "in_chans", "drop_rate", "drop_path_rate",
    "proj_drop_rate", "layer_scale_init_value", "img_size",
}  # fmt: skip


def _processor(folder: Path) -> ImageSpec:
    """transformers' image processor: its own file, or nested in processor_config.json.

    A file that says no size leaves it to the other one, as only one of the two need be whole.
    """
    found = Fields(folder / _PROCESSORS[0], {})
    for name in _PROCESSORS:
        whole = Fields(folder / name, optional_json(folder / name))
        part = whole.table("image_processor") if "image_processor" in whole else whole
        if _side(part) is not None:
            found = part
            break
        if not found.values:
            found = part
    side = _side(found)
    if side is None:
        raise CheckpointError(
            f"{folder}: no {' or '.join(_PROCESSORS)} says how large pictures are (crop_size); add "
            "the one that was published with the model"
        )
    for key in ("do_resize", "do_rescale"):
        found.only(key, True)
    if abs(found.number("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        found.only("rescale_factor", 1 / 255)
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if found.flag("do_normalize", True):
        mean = triple(found.values.get("image_mean"), mean)
        std = triple(found.values.get("image_std"), std)
    fit: specs.Fit = "pad" if found.flag("do_pad", False) else "crop"
    if fit == "crop":
        found.only("do_center_crop", True, why="without do_pad pictures would be no squares")
    resample = resampling(folder, found.values.get("resample", 3))
    return ImageSpec(side=side, mean=mean, std=std, resample=resample, fit=fit)


def _side(found: Fields) -> int | None:
    """The square's side that an image processor says, None when it says none."""
    sides = set()
    for key in ("size", "crop_size"):
        if key == "crop_size" and found.values.get("do_center_crop") is False:
            continue
        if key in found and not isinstance(found.values[key], dict):
            sides.add(found.whole(key))
        elif key in found:
            size = found.table(key)
            sides |= {size.whole(part) for part in size.values if part in size}
    if len(sides) > 1:
        raise CheckpointError(
            f"{found.path}: galago doesn't run pictures that are resized to one size and cut to "
            f"another ({', '.join(map(str, sorted(sides)))})"
        )
    return next(iter(sides), None)


def _text(config: Fields, stored: Stored, ties: Iterable[Fields], vocab: int) -> Qwen2Spec:
    """The decoder; `ties`: the objects that may say whether the output layer is the embedding."""
    ropes = [config.table(key) for key in ("rope_parameters", "rope_scaling")]
    theta = config.number("rope_theta", 1e6)
    for rope in ropes:
        for key in ("rope_type", "type"):
            rope.only(key, "default")
        rope.only("partial_rotary_factor", 1, 1.0)
        theta = rope.number("rope_theta", theta)
    config.only("partial_rotary_factor", 1, 1.0)
    config.only("hidden_act", "silu", "swish")
    config.off("use_sliding_window")
    layers = config.values.get("layer_types")
    if layers and set(map(str, layers)) != {"full_attention"}:
        config.only("layer_types", why="sliding-window attention is not supported")
    heads, hidden = config.whole("num_attention_heads"), config.whole("hidden_size")
    if heads > 0:
        config.only("head_dim", hidden // heads)
    said = {one.values.get("tie_word_embeddings") for one in ties} - {None}
    if said == {False} and HEAD not in stored:
        raise CheckpointError(
            f"{config.path}: tie_word_embeddings is False, but there is no {HEAD}: {NOT_WHOLE}"
        )
    return Qwen2Spec(
        hidden=hidden,
        intermediate=config.whole("intermediate_size"),
        layers=config.whole("num_hidden_layers"),
        heads=heads,
        kv_heads=config.whole("num_key_value_heads", heads),
        vocab=vocab,
        rope_theta=theta,
        rms_eps=config.number("rms_norm_eps", 1e-6),
        positions=_positions(config),
    )


def _positions(config: Fields) -> int:
    """llava names what it trained with; Qwen2's own limit is larger than that, or smaller."""
    trained = config.whole("tokenizer_model_max_length", Qwen2Spec.positions)
    return min(trained, config.whole("max_position_embeddings", trained))


def text_to_json(text: Qwen2Spec) -> dict[str, Any]:
    """The decoder's part of a config.json, as `read_spec` reads it, but for what ends a reply."""
    return {
        "hidden_size": text.hidden,
        "intermediate_size": text.intermediate,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.kv_heads,
        "vocab_size": text.vocab,
        "tokenizer_model_max_length": text.positions,
        "rope_theta": text.rope_theta,
        "rms_norm_eps": text.rms_eps,
        "tie_word_embeddings": text.tied,
        "use_sliding_window": False,
    }


def _vocab(folder: Path, stored: Stored, name: str) -> int:
    """Rows of the embedding: published configs and tensors pad differently, the tensor is true."""
    if name not in stored:
        raise CheckpointError(f"{folder} lacks the tensor {name}: {NOT_WHOLE}")
    return stored[name][0]


def _projector_rows(
    folder: Path, stored: Stored, pattern: str, parts: tuple[str, str]
) -> tuple[int, ...]:
    for part in parts:
        if pattern.format(part) not in stored:
            raise CheckpointError(f"{folder} lacks the tensor {pattern.format(part)}: {NOT_WHOLE}")
    return tuple(stored[pattern.format(part)][0] for part in parts)


def _eos(folder: Path, config: Fields) -> tuple[int, ...]:
    """Every id that ends a reply: the config's and the generation config's."""
    found: list[int] = []
    path = folder / "generation_config.json"
    for source in (Fields(path, optional_json(path)), config):
        ids = source.values.get("eos_token_id")
        for one in ids if isinstance(ids, list) else [ids]:
            if one is not None:
                found.append(Fields(source.path, {"eos_token_id": one}).whole("eos_token_id"))
    return tuple(dict.fromkeys(found))
