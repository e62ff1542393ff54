"""Configuration files of the published layouts -> VLMSpec.

Only what is needed is read; what galago cannot compute faithfully (another model type, scaled
rotary positions, another projector) is refused in one line instead of being run wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from galago import specs
from galago.checkpoints.folders import CONFIG, read_json
from galago.checkpoints.limits import check_vlm
from galago.checkpoints.names import EMBEDDING, PROJECTOR, fast_vlm_to_llava
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
from galago.errors import CheckpointError, GalagoError
from galago.specs import FastViTSpec, ImageSpec, PromptSpec, Qwen2Spec, VLMSpec

Stored = Mapping[str, tuple[int, ...]]  # names and shapes of a folder's tensors

_LLAVA_TRUNKS = {"mobileclip_l": specs.FASTVITHD}


def read_spec(folder: Path, config: Json, stored: Stored) -> VLMSpec:
    """The spec of a model folder from its config.json and the shapes of its tensors."""
    kind = config.get("model_type")
    try:
        read = {"llava_qwen2": _llava, "fast_vlm": _fast_vlm}.get(str(kind))
        if read is not None:
            spec = read(folder, config, stored)
            check_vlm(spec, len(stored))
            return spec
    except GalagoError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(f"{folder / CONFIG} is incomplete or damaged ({error!r})") from None
    raise CheckpointError(
        f"{folder} has model_type {kind!r}; galago runs llava_qwen2 and fast_vlm (FastVLM)"
    )


def _llava(folder: Path, config: Json, stored: Stored) -> VLMSpec:
    projector = config.get("mm_projector_type", "mlp2x_gelu")
    if projector != "mlp2x_gelu":
        raise CheckpointError(f"{folder}: projector {projector!r} is not known, only mlp2x_gelu")
    own = config.get("galago")
    if own is not None:
        vision, image = _own_block(folder, own)
    else:
        vision, image = _llava_tower(folder, config)
    rows = _projector_rows(folder, stored, f"{PROJECTOR}{{}}.weight", ("0", "2"))
    return VLMSpec(
        name=str((own or {}).get("name") or folder.name),
        layout="galago" if own is not None else "llava_qwen2",
        vision=vision,
        text=_text(folder, config, _vocab(folder, stored, EMBEDDING)),
        image=image,
        projector=rows,
        eos_ids=_eos(folder, config),
        prompt=PromptSpec(),
    )


def _own_block(folder: Path, own: Json) -> tuple[FastViTSpec, ImageSpec]:
    """The "galago" block of galago's own models: {"format": 1, "vision": {…}, "image": {…}}."""
    check_format(folder, own)
    return own_trunk(own), ImageSpec(**fields(own["image"]))


def _llava_tower(folder: Path, config: Json) -> tuple[FastViTSpec, ImageSpec]:
    tower = str(config["mm_vision_tower"])
    match = re.match(r"(.*)_(\d+)$", Path(tower).name)
    if not match or match[1] not in _LLAVA_TRUNKS:
        raise CheckpointError(f"{folder}: vision tower {tower!r} is not known")
    # llava's own code pads only when the config says so and otherwise crops the centre.
    fit: specs.Fit = "pad" if config.get("image_aspect_ratio") == "pad" else "crop"
    return _LLAVA_TRUNKS[match[1]], ImageSpec(side=int(match[2]), fit=fit)


def _fast_vlm(folder: Path, config: Json, stored: Stored) -> VLMSpec:
    vision = config["vision_config"]
    own = config.get("galago")
    if own is not None:
        trunk, image = _own_block(folder, own)
    else:
        trunk, image = _timm_trunk(folder, vision), _processor(folder)
    if config.get("projector_hidden_act", "gelu") != "gelu":
        raise CheckpointError(f"{folder}: projector activation must be gelu")
    names = {fast_vlm_to_llava(name, trunk): shape for name, shape in stored.items()}
    rows = _projector_rows(folder, names, f"{PROJECTOR}{{}}.weight", ("0", "2"))
    return VLMSpec(
        name=folder.name,
        layout="fast_vlm",
        vision=trunk,
        text=_text(folder, config["text_config"], _vocab(folder, names, EMBEDDING)),
        image=image,
        projector=rows,
        eos_ids=_eos(folder, config["text_config"] | _plain(config, "eos_token_id")),
        prompt=PromptSpec(image_token_id=_image_token(config)),
    )


def _image_token(config: Json) -> int:
    for key in ("image_token_index", "image_token_id"):
        if config.get(key) is not None:
            return int(config[key])
    return 151646


def _plain(config: Json, key: str) -> dict[str, Any]:
    return {key: config[key]} if config.get(key) is not None else {}


def _timm_trunk(folder: Path, vision: Json) -> FastViTSpec:
    name = str(vision.get("architecture", "")).split(".")[0]
    trunk = TIMM_TRUNKS.get(name)
    if trunk is None:
        raise CheckpointError(f"{folder}: vision architecture {name!r} is not known")
    changes = {k: v for k, v in (vision.get("model_args") or {}).items() if k in _TIMM_ARGS}
    if not changes:
        return trunk
    return checked_trunk(replace(trunk, **fields({_TIMM_ARGS[k]: v for k, v in changes.items()})))


# timm's constructor arguments that reshape a trunk, and the FastViTSpec fields they set.
_TIMM_ARGS = {
    "layers": "depths",
    "embed_dims": "widths",
    "token_mixers": "mixers",
    "mlp_ratios": "mlp_ratios",
    "se_downsamples": "se_downsamples",
    "cls_ratio": "exp_ratio",
    "lkc_use_act": "downsample_act",
}


def _processor(folder: Path) -> ImageSpec:
    """transformers' image processor: its own file, or nested in processor_config.json."""
    found: Json = {}
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = folder / name
        if path.is_file():
            found = read_json(path)
            found = found.get("image_processor", found)
            break
    size = found.get("crop_size") or found.get("size") or {}
    side = size if isinstance(size, int) else size.get("height") or size.get("shortest_edge")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if found.get("do_normalize", True):
        mean = triple(found.get("image_mean"), mean)
        std = triple(found.get("image_std"), std)
    fit: specs.Fit = "crop" if found.get("do_center_crop", True) else "pad"
    resample = resampling(folder, found.get("resample", 3))
    return ImageSpec(side=int(side or 1024), mean=mean, std=std, resample=resample, fit=fit)


def _text(folder: Path, config: Json, vocab: int) -> Qwen2Spec:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in (None, "default"):
        raise CheckpointError(f"{folder}: rotary scaling {kind!r} is not supported")
    if config.get("use_sliding_window"):
        raise CheckpointError(f"{folder}: sliding-window attention is not supported")
    heads = int(config["num_attention_heads"])
    return Qwen2Spec(
        hidden=int(config["hidden_size"]),
        intermediate=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        vocab=vocab,
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 1e6),
        rms_eps=float(config.get("rms_norm_eps", 1e-6)),
        positions=_positions(config),
    )


def _positions(config: Json) -> int:
    """llava names what it trained with; Qwen2's own limit is larger than that, or smaller."""
    trained = int(config.get("tokenizer_model_max_length") or Qwen2Spec.positions)
    return min(trained, int(config.get("max_position_embeddings") or trained))


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
        raise CheckpointError(f"{folder} lacks the tensor {name}; fetch the model again")
    return stored[name][0]


def _projector_rows(
    folder: Path, stored: Stored, pattern: str, parts: tuple[str, str]
) -> tuple[int, ...]:
    for part in parts:
        if pattern.format(part) not in stored:
            raise CheckpointError(
                f"{folder} lacks the tensor {pattern.format(part)}; fetch the model again"
            )
    return tuple(stored[pattern.format(part)][0] for part in parts)


def _eos(folder: Path, config: Json) -> tuple[int, ...]:
    """Every id that ends a reply: the config's and the generation config's."""
    found: list[int] = []
    path = folder / "generation_config.json"
    for source in (read_json(path) if path.is_file() else {}, config):
        ids = source.get("eos_token_id")
        if ids is not None:
            found += [int(i) for i in (ids if isinstance(ids, list) else [ids])]
    return tuple(dict.fromkeys(found))
