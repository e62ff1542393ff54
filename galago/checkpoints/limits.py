"""Specs that no model can have are refused before anything is made from their numbers.

A configuration is somebody else's text: a layer that no tensor belongs to, a side of 10^9 pixels, a
true where a number belongs. What is bounded by the tensors' shapes needs no bound here.
"""

from __future__ import annotations

import math
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from galago.specs import ClipSpec, FastViTSpec, ImageSpec, Qwen2Spec, ViTSpec, VLMSpec

__all__ = ["check_clip", "check_colours", "check_trunk", "check_types", "check_vlm"]

_MAX_SIDE = 1536  # pixels, as many as can be asked for; the published models have up to 1024
_LARGE = 1e9  # beyond any ratio


def check_vlm(spec: VLMSpec, tensors: int) -> None:
    """ValueError for a spec that no folder of so many tensors can have."""
    check_types(spec)
    _check_layers(spec.text.layers, tensors)
    _check_layers(sum(spec.vision.depths), tensors)
    check_trunk(spec.vision)
    _check_text(spec.text)
    _check_image(spec.image)
    if len(spec.projector) != 2:
        raise ValueError(f"a projector of {len(spec.projector)} layers is not known")


def check_clip(spec: ClipSpec, tensors: int) -> None:
    """As check_vlm, for a model of two towers."""
    check_types(spec)
    _check_layers(spec.text.layers, tensors)
    if isinstance(spec.vision, ViTSpec):
        _check_layers(spec.vision.layers, tensors)
    else:
        _check_layers(sum(spec.vision.depths), tensors)
        check_trunk(spec.vision)
    _check_image(spec.image)


def check_trunk(trunk: FastViTSpec) -> None:
    """ValueError unless stages have every field, and widths fit each other and their heads."""
    per_stage = (trunk.widths, trunk.mixers, trunk.mlp_ratios, trunk.se_downsamples)
    if not trunk.depths or any(len(values) != len(trunk.depths) for values in per_stage):
        raise ValueError("the trunk's fields differ in their number of stages")
    before = trunk.widths[0]
    for width, mixer in zip(trunk.widths, trunk.mixers, strict=True):
        if mixer not in ("repmixer", "attention") or width < 1:
            raise ValueError(f"a stage of width {width} and mixer {mixer!r} is not possible")
        if mixer == "attention" and (trunk.head_dim < 1 or width % trunk.head_dim):
            raise ValueError(f"width {width} is not a multiple of {trunk.head_dim}")
        if width % before:
            raise ValueError(f"width {width} is not a multiple of {before}, the stage's before")
        before = width
    if min(trunk.depths) < 1 or not all(0 < ratio < _LARGE for ratio in trunk.mlp_ratios):
        raise ValueError(f"depths {trunk.depths} and ratios {trunk.mlp_ratios} are not possible")
    if not 0 < trunk.exp_ratio < _LARGE or trunk.features < 1 or trunk.features % before:
        raise ValueError(f"{trunk.exp_ratio} times {before} channels are not possible")


def _check_layers(layers: int, tensors: int) -> None:
    if layers > tensors:
        raise ValueError(f"{layers} layers in {tensors} tensors")


def _check_text(text: Qwen2Spec) -> None:
    widths = (text.hidden, text.intermediate, text.heads, text.kv_heads)
    sizes = (*widths, text.layers, text.vocab, text.positions)
    if min(sizes) < 1 or text.hidden % (2 * text.heads) or text.heads % text.kv_heads:
        raise ValueError(f"sizes {sizes} do not fit together")
    if not 0 < text.rms_eps < 1 or not 0 < text.rope_theta < math.inf:
        raise ValueError(f"rms_norm_eps {text.rms_eps} and rope_theta {text.rope_theta}")


def _check_image(image: ImageSpec) -> None:
    if not 1 <= image.stride <= image.side <= _MAX_SIDE or image.max_side > _MAX_SIDE:
        raise ValueError(f"pictures of {image.side} px in steps of {image.stride}")
    check_colours(image.mean, image.std)


def check_colours(mean: Sequence[float], std: Sequence[float]) -> None:
    """ValueError for a mean and deviation of colours from 0 to 1 that no model was taught with.

    Beyond, pictures become numbers that the towers can't count with, and the answer is noise.
    """
    if not all(abs(value) <= 10 for value in mean) or not all(1e-3 <= v <= 10 for v in std):
        raise ValueError(f"mean {tuple(mean)}, std {tuple(std)}")


def check_types(spec: Any) -> None:
    """ValueError for a field of a spec that isn't of the type it is declared with."""
    hints = get_type_hints(type(spec))
    for field in fields(spec):
        value = getattr(spec, field.name)
        if not _is_of(value, hints[field.name]):
            raise ValueError(f"{field.name} can't be {value!r:.80}")
        if is_dataclass(value):
            check_types(value)


def _is_of(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin in (Union, types.UnionType):
        return any(_is_of(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return len(value) == len(kinds) and all(map(_is_of, value, kinds))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind
