"""open_clip_config.json, and the rows of what was published without one -> ClipSpec."""

from __future__ import annotations

from pathlib import Path

from galago import specs
from galago.checkpoints.fields import Fields
from galago.checkpoints.folders import CLIP_CONFIG
from galago.checkpoints.limits import check_colours
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


def _first(base: ViTSpec) -> tuple[ClipSpec, ...]:
    """The first generation; `base` is the trunk of its B."""
    return (
        _published("MobileCLIP-S0", specs.MCI0, mixers=True),
        _published("MobileCLIP-S1", specs.MCI1),
        _published("MobileCLIP-S2", specs.MCI2),
        _published("MobileCLIP-B", base, causal=True),
        _published("MobileCLIP-B-LT", base, causal=True),
        _published("MobileCLIP-S3", specs.MCI3, 768),
        _published("MobileCLIP-S4", specs.MCI4, 768),
        _published("MobileCLIP-L-14", specs.VIT_L_14, 768),
    )


# Files with Apple's own names are run as Apple's code runs them, those with open_clip's as it does.
FIRST = _first(specs.VIT_B_MCI_PADDED)
PUBLISHED = SECOND + _first(specs.VIT_B_MCI)


def read_clip_spec(folder: Path) -> ClipSpec:
    """The spec of a folder from its open_clip_config.json."""
    path = folder / CLIP_CONFIG
    config = Fields(path, read_json(path))
    try:
        return _spec(folder, config.table("model_cfg", needed=True), config.table("preprocess_cfg"))
    except GalagoError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = repr(error)[:160]
        raise CheckpointError(f"{path} is incomplete or damaged ({reason})") from None


def _spec(folder: Path, model: Fields, seen: Fields) -> ClipSpec:
    vision, text = model.table("vision_cfg", needed=True), model.table("text_cfg", needed=True)
    own = model.values.get("galago")
    if own:
        check_format(folder, own)
    named = vision.text("timm_model_name", "") if not own else ""
    trunk = own_trunk(own) if own else TRUNKS.get(named)
    if trunk is None:
        raise CheckpointError(
            f"{folder}: image tower {named!r:.80} is not known; galago runs {', '.join(TRUNKS)}"
        )
    _check_plain(model, vision, text, "avg" if isinstance(trunk, FastViTSpec) else "token")
    if not own:
        text.only("vocab_size", CLIP_VOCAB)
    name = Fields(model.path, own).text("name") if own else folder.resolve().name
    image = _image(folder, trunk, vision, seen)
    return ClipSpec(name, trunk, _words(text), image, model.whole("embed_dim"))


def _check_plain(model: Fields, vision: Fields, text: Fields, pool: str) -> None:
    """CheckpointError for whatever open_clip would do beyond what MobileCLIP needs."""
    model.off("quick_gelu", "multimodal_cfg")
    model.only("init_logit_bias", why="only models with a softmax over the labels")
    vision.only("timm_proj", "")
    vision.only("timm_pool", pool)
    vision.off("timm_proj_bias")
    text.only("pool_type", "argmax")
    text.only("proj_type", "linear")
    text.only("mlp_ratio", 4, 4.0)
    text.off("act_kwargs", "norm_kwargs", "embed_cls", "proj_bias", "final_ln_after_pool")
    text.off("ls_init_value", "hf_model_name", "hf_tokenizer_name", "output_tokens", "pad_id")
    text.table("tokenizer_kwargs").only("clean", "lower")


def _image(folder: Path, trunk: FastViTSpec | ViTSpec, vision: Fields, seen: Fields) -> ImageSpec:
    side = _square(vision, "image_size")
    if side is None or not trunk.stride <= side <= _MAX_SIDE or side % trunk.stride:
        raise ValueError(f"image_size {side}")
    if _square(seen, "size") not in (None, side):
        seen.only("size", side)
    seen.only("resize_mode", "shortest")
    seen.only("mode", "RGB")
    # As open_clip: 0 counts as not given.
    mean = triple(seen.values.get("mean") or None, _CLIP_MEAN)
    std = triple(seen.values.get("std") or None, _CLIP_STD)
    resample = resampling(folder, seen.text("interpolation", "bicubic"))
    check_colours(mean, std)
    return clip_image_spec(side, trunk.stride, mean, std, resample)


def _square(config: Fields, key: str) -> int | None:
    """A side, given as one number or as height and width that are the same; None without one."""
    value = config.values.get(key)
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        return Fields(config.path, {key: value[0]}).whole(key)
    return config.whole(key) if key in config else None


def _words(text: Fields) -> ClipTextSpec:
    heads, width = text.whole("heads"), text.whole("width")
    words = ClipTextSpec(
        width=width,
        heads=heads,
        layers=text.whole("layers"),
        causal=not text.flag("no_causal_mask", False),
        context=text.whole("context_length", CLIP_CONTEXT),
        vocab=text.whole("vocab_size", CLIP_VOCAB),
    )
    if min(heads, width, words.layers, words.context) < 1 or width % heads:
        raise ValueError(f"width {width} does not fit {heads} heads")
    if not CLIP_SMALLEST_VOCAB <= words.vocab <= CLIP_VOCAB:
        raise ValueError(f"vocab_size {words.vocab}")
    return words
