"""open_clip_config.json, and the rows of what was published without one -> ClipSpec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago import specs
from galago.checkpoints.folders import CLIP_CONFIG
from galago.checkpoints.vision_config import (
    TIMM_TRUNKS,
    Triple,
    check_format,
    own_trunk,
    resampling,
    triple,
)
from galago.disk import read_json
from galago.errors import CheckpointError, GalagoError
from galago.specs import (
    CLIP_CONTEXT,
    CLIP_SMALLEST_VOCAB,
    CLIP_VOCAB,
    ClipSpec,
    ClipTextSpec,
    FastViTSpec,
    ImageSpec,
    ViTSpec,
)

TRUNKS: dict[str, FastViTSpec | ViTSpec] = {
    **TIMM_TRUNKS,
    "vit_base_mci_224": specs.VIT_B_MCI,
    "vit_large_patch14_clip_224": specs.VIT_L_14,
}
_MAX_SIDE = 1536
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_image_spec(
    side: int, stride: int, mean: Triple, std: Triple, resample: specs.Resample
) -> ImageSpec:
    """Pictures as open_clip prepares them, at the one side that a model is made for."""
    return ImageSpec(
        side, mean, std, resample, "crop", rounded=True, stride=stride, min_side=side, max_side=side
    )


def _published(
    name: str,
    trunk: FastViTSpec | ViTSpec,
    embed: int = 512,
    *,
    causal: bool = False,
    mixers: bool = False,
) -> ClipSpec:
    """A model as published; the wider ones see pictures as OpenAI's CLIP does."""
    large = embed == 768
    side = 256 if isinstance(trunk, FastViTSpec) else 224
    mean = _CLIP_MEAN if large else (0.0, 0.0, 0.0)
    std = _CLIP_STD if large else (1.0, 1.0, 1.0)
    resample: specs.Resample = "bicubic" if trunk is specs.VIT_L_14 else "bilinear"
    image = clip_image_spec(side, trunk.stride, mean, std, resample)
    text = ClipTextSpec(embed, embed // 64, 4 if mixers else 12, causal, mixers=mixers)
    return ClipSpec(name, trunk, text, image, embed)


# apple/ml-mobileclip and the open_clip configurations of timm/MobileCLIP2-*-OpenCLIP.
SECOND = (
    _published("MobileCLIP2-S0", specs.MCI0),
    _published("MobileCLIP2-S2", specs.MCI2),
    _published("MobileCLIP2-B", specs.VIT_B_MCI, causal=True),
    _published("MobileCLIP2-S3", specs.MCI3, 768),
    _published("MobileCLIP2-S4", specs.MCI4, 768),
    _published("MobileCLIP2-L-14", specs.VIT_L_14, 768),
)
FIRST = (
    _published("MobileCLIP-S0", specs.MCI0, mixers=True),
    _published("MobileCLIP-S1", specs.MCI1),
    _published("MobileCLIP-S2", specs.MCI2),
    _published("MobileCLIP-B", specs.VIT_B_MCI, causal=True),
    _published("MobileCLIP-B-LT", specs.VIT_B_MCI, causal=True),
    _published("MobileCLIP-S3", specs.MCI3, 768),
    _published("MobileCLIP-S4", specs.MCI4, 768),
    _published("MobileCLIP-L-14", specs.VIT_L_14, 768),
)
PUBLISHED = SECOND + FIRST


def read_clip_spec(folder: Path) -> ClipSpec:
    """The spec of a folder from its open_clip_config.json."""
    path = folder / CLIP_CONFIG
    config = read_json(path)
    try:
        return _spec(folder, config["model_cfg"], config.get("preprocess_cfg") or {})
    except GalagoError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(f"{path} is incomplete or damaged ({error!r})") from None


def _spec(folder: Path, model: Mapping[str, Any], seen: Mapping[str, Any]) -> ClipSpec:
    vision, text = model["vision_cfg"], model["text_cfg"]
    own = model.get("galago")
    if own:
        check_format(folder, own)
    trunk = own_trunk(own) if own else TRUNKS.get(str(vision.get("timm_model_name")))
    if trunk is None:
        raise CheckpointError(
            f"{folder}: image tower {vision.get('timm_model_name')!r} is not known; galago runs "
            f"{', '.join(TRUNKS)}"
        )
    pool = "avg" if isinstance(trunk, FastViTSpec) else "token"
    plain: tuple[tuple[Mapping[str, Any], str, object], ...]
    plain = ((vision, "timm_proj", ""), (vision, "timm_pool", pool), (text, "pool_type", "argmax"),
             (text, "act_kwargs", {}), (text, "norm_kwargs", {}), (text, "embed_cls", False),
             (text, "vocab_size", text.get("vocab_size") if own else CLIP_VOCAB),
             (model, "quick_gelu", False))  # fmt: skip
    for part, key, only in plain:
        if part.get(key) not in (None, only):
            raise CheckpointError(f"{folder}: {key} {part[key]!r} is not known")
    side = int(vision["image_size"])
    if not trunk.stride <= side <= _MAX_SIDE or side % trunk.stride:
        raise ValueError(f"image_size {side}")
    resize = seen.get("resize_mode", "shortest")
    if resize != "shortest":
        raise CheckpointError(f"{folder}: resize mode {resize!r} is not known, only shortest")
    mean, std = triple(seen.get("mean"), _CLIP_MEAN), triple(seen.get("std"), _CLIP_STD)
    resample = resampling(folder, seen.get("interpolation", "bicubic"))
    image = clip_image_spec(side, trunk.stride, mean, std, resample)
    heads, width = int(text["heads"]), int(text["width"])
    words = ClipTextSpec(
        width=width,
        heads=heads,
        layers=int(text["layers"]),
        causal=not text.get("no_causal_mask", False),
        context=int(text.get("context_length", CLIP_CONTEXT)),
        vocab=int(text.get("vocab_size", CLIP_VOCAB)),
    )
    if min(heads, width, words.layers, words.context) < 1 or width % heads:
        raise ValueError(f"width {width} does not fit {heads} heads")
    if not CLIP_SMALLEST_VOCAB <= words.vocab <= CLIP_VOCAB:
        raise ValueError(f"vocab_size {words.vocab}")
    if not all(0 < value < 1e6 for value in image.std) or not all(abs(m) < 1e6 for m in image.mean):
        raise ValueError(f"mean {image.mean}, std {image.std}")
    name = str(own["name"]) if own else folder.resolve().name
    return ClipSpec(name, trunk, words, image, int(model["embed_dim"]))
