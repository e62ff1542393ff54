"""Published MobileCLIP models -> a spec and named tensors, memory-mapped.

Three ways: the open_clip layout (open_clip_config.json and open_clip_model.safetensors); galago's
own models, the same with a "galago" block that spells the trunk out, where tensors may be I8 with a
float32 `NAME.scale` of one number a row and the vocabulary smaller; and the `.pt` files of Apple's
repositories, which have no configuration: which model one is, its shapes tell, and where these fit
several the name of the file. Pickles are read, never run (galago/torchfile.py).

Training-time branches are fused when a tensor is read (galago/fuse.py); names that come out are
open_clip's of the fused model, with `in_proj.weight` for `in_proj_weight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago import layout, quantise, specs
from galago.checkpoint import scaled
from galago.clip_first import is_first, to_open_clip
from galago.clip_tokens import SMALLEST, VOCAB
from galago.config import TIMM_TRUNKS, own_trunk, read_json
from galago.errors import CheckpointError, GalagoError
from galago.fuse import fused
from galago.layout import CLIP_TRUNK as TRUNK
from galago.safetensors import FileState, SafetensorsFile, Stored
from galago.specs import ClipSpec, ClipTextSpec, FastViTSpec, ImageSpec, ViTSpec
from galago.torchfile import TorchFile

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"

_TRUNKS: dict[str, FastViTSpec | ViTSpec] = {
    **TIMM_TRUNKS,
    "vit_base_mci_224": specs.VIT_B_MCI,
    "vit_large_patch14_clip_224": specs.VIT_L_14,
}

_MAX_SIDE = 1536
Triple = tuple[float, float, float]
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def _image_spec(
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
    image = _image_spec(side, trunk.stride, mean, std, resample)
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


@dataclass(frozen=True)
class ClipCheckpoint:
    """An opened model; `tensors` by open_clip's names, fused when read; `file` holds them."""

    spec: ClipSpec
    tensors: Mapping[str, Stored]
    logit_scale: float
    file: FileState | None = None


def open_clip_checkpoint(source: Path | str) -> ClipCheckpoint:
    """Open a folder in the open_clip layout, one of Apple's .pt files, or a folder with just one.

    Every tensor is checked for presence and shape; CheckpointError names what is wrong.
    """
    source = Path(source)
    if source.is_file():
        if source.suffix not in (".pt", ".pth"):
            raise CheckpointError(f"{source} is one file of a model; give its folder")
        return _open_pickled(source)
    if not (source / CONFIG).is_file():
        pickled = sorted([*source.glob("*.pt"), *source.glob("*.pth")])
        if len(pickled) > 1:
            raise CheckpointError(f"{source} holds several .pt files; name the one you mean")
        if pickled:
            return _open_pickled(pickled[0])
    spec = read_clip_spec(source)
    path = source / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{source} has no {WEIGHTS}; fetch the model again")
    file = SafetensorsFile(path)
    return _checked(spec, file, _named(scaled(file.tensors)))


def _open_pickled(path: Path) -> ClipCheckpoint:
    file = TorchFile(path)
    stored = file.tensors
    first = is_first(stored)
    known = FIRST if first else PUBLISHED
    named = _named(to_open_clip(stored) if first else stored)
    shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
    sizes = {spec: len(s) for spec in known if (s := clip_shapes(spec)).items() <= shapes.items()}
    # The blocks of a small model are found in a deeper one, too.
    fitting = [spec for spec, size in sizes.items() if size == max(sizes.values())]
    if not fitting:
        names = ", ".join(spec.name for spec in known)
        raise CheckpointError(f"{path} holds none of the models known by their shapes ({names})")
    # Both generations have some shapes in common: then Apple's own file names tell.
    spec = next((s for s in fitting if _letters(s.name) == _letters(path.stem)), fitting[0])
    return _checked(spec, file, named)


def _letters(name: str) -> str:
    """MobileCLIP2-L-14 and mobileclip2_l14 in the same letters."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _named(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    return {n.replace(".in_proj_", ".in_proj."): t for n, t in fused(stored).items()}


def _checked(
    spec: ClipSpec, file: SafetensorsFile | TorchFile, named: Mapping[str, Stored]
) -> ClipCheckpoint:
    path = file.path
    tensors: dict[str, Stored] = {}
    for name, shape in clip_shapes(spec).items():
        if name not in named:
            raise CheckpointError(f"{path} lacks the tensor {name}; fetch the model again")
        if tuple(named[name].shape) != shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(named[name].shape)}, expected {shape}"
            )
        tensors[name] = named[name]
    scale = float(quantise.read_float(tensors["logit_scale"]).reshape(()))
    if not abs(scale) < 20:  # CLIP keeps it under ln 100; NaN fails too
        raise CheckpointError(f"{path}: logit_scale is {scale}; fetch the model again")
    return ClipCheckpoint(spec, tensors, scale, file.state)


def read_clip_spec(folder: Path) -> ClipSpec:
    """The spec of a folder from its open_clip_config.json."""
    path = folder / CONFIG
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
    if own and own.get("format") != 1:
        raise CheckpointError(
            f"{folder} was written by a newer galago (format {own.get('format')}); update galago"
        )
    trunk = own_trunk(own) if own else _TRUNKS.get(str(vision.get("timm_model_name")))
    if trunk is None:
        raise CheckpointError(
            f"{folder}: image tower {vision.get('timm_model_name')!r} is not known; galago runs "
            f"{', '.join(_TRUNKS)}"
        )
    pool = "avg" if isinstance(trunk, FastViTSpec) else "token"
    plain: tuple[tuple[Mapping[str, Any], str, object], ...]
    plain = ((vision, "timm_proj", ""), (vision, "timm_pool", pool), (text, "pool_type", "argmax"),
             (text, "act_kwargs", {}), (text, "norm_kwargs", {}), (text, "embed_cls", False),
             (text, "vocab_size", text.get("vocab_size") if own else VOCAB),
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
    mean, std = _triple(seen.get("mean"), _CLIP_MEAN), _triple(seen.get("std"), _CLIP_STD)
    resample = _resample(folder, seen.get("interpolation", "bicubic"))
    image = _image_spec(side, trunk.stride, mean, std, resample)
    heads, width = int(text["heads"]), int(text["width"])
    words = ClipTextSpec(
        width=width,
        heads=heads,
        layers=int(text["layers"]),
        causal=not text.get("no_causal_mask", False),
        context=int(text.get("context_length", 77)),
        vocab=int(text.get("vocab_size", VOCAB)),
    )
    if min(heads, width, words.layers, words.context) < 1 or width % heads:
        raise ValueError(f"width {width} does not fit {heads} heads")
    if not SMALLEST <= words.vocab <= VOCAB:
        raise ValueError(f"vocab_size {words.vocab}")
    if not all(0 < value < 1e6 for value in image.std) or not all(abs(m) < 1e6 for m in image.mean):
        raise ValueError(f"mean {image.mean}, std {image.std}")
    name = str(own["name"]) if own else folder.resolve().name
    return ClipSpec(name, trunk, words, image, int(model["embed_dim"]))


def _resample(folder: Path, name: str) -> specs.Resample:
    if name == "bicubic":
        return "bicubic"
    if name == "bilinear":
        return "bilinear"
    raise CheckpointError(f"{folder}: resampling {name!r} is not known")


def _triple(values: Any, default: Triple) -> Triple:
    if values is None:
        return default
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def clip_shapes(spec: ClipSpec) -> layout.Shapes:
    """Every tensor that a model needs, by its name in the fused open_clip layout."""
    shapes: layout.Shapes = {"logit_scale": ()}
    if isinstance(spec.vision, FastViTSpec):
        for name, shape in layout.vision_shapes(spec.vision).items():
            shapes[TRUNK + layout.llava_to_timm(name, spec.vision)] = shape
        _linear(shapes, f"{TRUNK}head.fc", spec.embed, spec.vision.features)
    else:
        _vit_shapes(shapes, spec.vision, spec.image.side)
        _linear(shapes, f"{TRUNK}head", spec.embed, spec.vision.width)
    _text_shapes(shapes, spec.text, spec.embed)
    return shapes


def _linear(shapes: layout.Shapes, name: str, rows: int, columns: int) -> None:
    shapes[f"{name}.weight"] = (rows, columns)
    shapes[f"{name}.bias"] = (rows,)


def _norm(shapes: layout.Shapes, name: str, width: int) -> None:
    for part in ("weight", "bias"):
        shapes[f"{name}.{part}"] = (width,)


def _block(
    shapes: layout.Shapes, block: str, names: Mapping[str, str], spec: ViTSpec | ClipTextSpec
) -> None:
    width, hidden = spec.width, int(spec.width * spec.mlp_ratio)
    for part in ("norm1", "norm2"):
        _norm(shapes, f"{block}.{names[part]}", width)
    rows = {"qkv": (3 * width, width), "proj": (width, width), "fc1": (hidden, width)}
    for part, size in (rows | {"fc2": (width, hidden)}).items():
        _linear(shapes, f"{block}.{names[part]}", *size)


def _mixer(shapes: layout.Shapes, block: str, width: int, hidden: int) -> None:
    """The text tower's convolutional block; 11 tokens are seen at once."""
    for part in ("token_mixer.reparam_conv", "convffn.conv.conv"):
        shapes[f"{block}.{part}.weight"] = (width, 1, 1, 11)
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{block}.convffn.conv.bn.{part}"] = (width,)
    for part, rows, columns in (("fc1", hidden, width), ("fc2", width, hidden)):
        shapes[f"{block}.convffn.{part}.weight"] = (rows, columns, 1, 1)
        shapes[f"{block}.convffn.{part}.bias"] = (rows,)
    shapes[f"{block}.token_mixer.reparam_conv.bias"] = (width,)
    shapes[f"{block}.layer_scale"] = (width, 1, 1)


def _vit_shapes(shapes: layout.Shapes, spec: ViTSpec, side: int) -> None:
    width = spec.width
    patches = (side // spec.patch) ** 2 + spec.class_position
    shapes[f"{TRUNK}cls_token"] = (1, 1, width)
    shapes[f"{TRUNK}pos_embed"] = (1, patches, width)
    if spec.stem == "conv":
        stem = f"{TRUNK}patch_embed.backbone"
        for index, (rows, columns, kernel) in enumerate(
            ((width // 4, 3, 4), (width // 4, width // 4, 2), (width, width // 4, 2))
        ):
            shapes[f"{stem}.{index}.conv.weight"] = (rows, columns, kernel, kernel)
        for index in (0, 1):
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{stem}.{index}.bn.{part}"] = (width // 4,)
        shapes[f"{stem}.2.conv.bias"] = (width,)
    else:
        shapes[f"{TRUNK}patch_embed.proj.weight"] = (width, 3, spec.patch, spec.patch)
        if not spec.pre_norm:  # a norm right behind makes the bias needless
            shapes[f"{TRUNK}patch_embed.proj.bias"] = (width,)
    if spec.pre_norm:
        _norm(shapes, f"{TRUNK}norm_pre", width)
    for index in range(spec.layers):
        _block(shapes, f"{TRUNK}blocks.{index}", layout.VIT_BLOCK, spec)
    _norm(shapes, f"{TRUNK}norm", width)


def _text_shapes(shapes: layout.Shapes, spec: ClipTextSpec, embed: int) -> None:
    width = spec.width
    shapes["text.positional_embedding"] = (spec.context, width)
    shapes["text.token_embedding.weight"] = (spec.vocab, width)
    first = int(spec.mixers)
    for index in range(first, first + spec.layers):
        _block(shapes, f"{layout.TEXT_BLOCKS}{index}", layout.TEXT_BLOCK, spec)
    for index in (0, spec.layers + 1) if spec.mixers else ():
        _mixer(shapes, f"{layout.TEXT_BLOCKS}{index}", width, int(width * spec.mlp_ratio))
    _norm(shapes, "text.ln_final", width)
    shapes["text.text_projection"] = (width, embed)
