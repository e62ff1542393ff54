"""Ranges of activations, so that the trunk's widest convolutions can run in 8 bits.

The full-precision trunk looks at the pictures of the self-check, mirrored (the check itself sees
them as they are), and every 1x1 convolution's input reports the least, the largest and the mean
square of each channel; nothing large leaves the graph. Where a depthwise convolution comes just
before, channels are first brought to like widths: it is divided by what the columns after it are
multiplied with (SmoothQuant, https://arxiv.org/abs/2211.10438), which changes nothing but the
rounding. A range taken from few pictures is stretched a little, and a layer whose input an 8-bit
grid over that range would blur stays in floating point: rounding to steps of d adds noise of
d^2 / 12 (Bennett 1948), which must stay well below the signal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from galago.checkpoints.tensors import Float, InMemory
from galago.checkpoints.vlm import Checkpoint
from galago.convert.selfcheck import BOUNDS, PICTURES, compare_vision
from galago.engine.precision import PrecisionPlan
from galago.engine.processor import exact_products, native_bf16
from galago.engine.quantise import FULL_TOP, HALF_TOP, Range
from galago.engine.ranges import measure
from galago.engine.vlm_weights import Int8Layers, collect, depthwise_before, vision_items
from galago.media import images
from galago.media.preprocess import preprocess
from galago.specs import VLMSpec

_SIDE = 512
_STRETCH = 1.1
# 30 dB: one part in a thousand of the input's energy may be rounding.
_LEAST_RATIO = 1e3
_LEVELS = 255


def calibrate(weights: Mapping[str, InMemory], spec: VLMSpec, top: int) -> Int8Layers:
    """The layers that bear 8 bits, over which ranges; `weights` are fp32 and folded."""
    ranges: dict[str, Range] = {}
    gains: dict[str, Float] = {}
    for name, (lows, highs, squares) in measure(weights, spec, pictures(spec)).items():
        before = depthwise_before(name)
        gain = np.ones(len(lows), np.float32)
        if before:
            columns = np.abs(weights[f"{name}.weight"].read()).max(axis=(0, 2, 3))
            gain = balance(np.maximum(np.abs(lows), np.abs(highs)), columns)
        # Nought is always on the grid, so that what is nothing stays nothing.
        low = float(min((lows / gain).min(), 0.0)) * _STRETCH
        high = float(max((highs / gain).max(), 0.0)) * _STRETCH
        noise = ((high - low) / _LEVELS) ** 2 / 12
        square = float((squares / gain**2).mean())
        if np.isfinite([low, high, square]).all() and square > _LEAST_RATIO * noise > 0:
            ranges[name] = (low, high)
            if before:
                gains[name] = gain
    return Int8Layers(ranges, gains, top)


def balance(widths: Float, columns: Float) -> Float:
    """What to divide each channel by: between its own width and that of the weights it meets."""
    least = np.float32(1e-6)
    wide = np.maximum(widths, least * max(float(widths.max()), 1e-30))
    gain = np.sqrt(wide / np.maximum(columns, least * max(float(columns.max()), 1e-30)))
    return np.asarray(gain / np.exp(np.log(gain).mean()), dtype=np.float32)


def pictures(spec: VLMSpec) -> list[Float]:
    """Pixel values (1, 3, H, W) of the package's pictures, mirrored."""
    wanted = dataclasses.replace(spec.image, side=min(spec.image.side, _SIDE))
    opened = (images.open_image(path) for path in sorted(PICTURES.glob("*.webp")))
    seen = [preprocess(picture, wanted) for picture in opened]
    return [np.ascontiguousarray(pixels[None, :, :, ::-1]) for pixels in seen]


@dataclass(frozen=True)
class VisionChoice:
    """What vision can be: the plan, its 8-bit layers if any, and a word on how it went."""

    plan: PrecisionPlan
    int8_layers: Int8Layers | None
    message: str


def choose_vision(source: Checkpoint, plan: PrecisionPlan, *, keep: bool = False) -> VisionChoice:
    """An int8 plan tried on this model's own weights; floating point where it strays too far.

    Unless it is to be kept whatever comes out.
    """
    spec = source.spec
    full = collect(vision_items(source, "fp32"))
    chosen = calibrate(full, spec, FULL_TOP if exact_products() else HALF_TOP)
    ours = collect(vision_items(source, "int8", chosen))
    mean, least = compare_vision(full, ours, spec, plan)
    bounds = BOUNDS[plan.language]
    matrices = " and all matrices" if chosen.exact else ""
    layers = f"{len(chosen.ranges)} convolutions{matrices} of vision in 8 bits"
    found = f"{layers}, feature cosine {mean:.4f}"
    if mean >= bounds.cosine_mean and least >= bounds.cosine_min:
        return VisionChoice(plan, chosen, f"{found} (least {least:.4f})")
    if keep:
        return VisionChoice(plan, chosen, f"{found} (least {least:.4f}): kept all the same")
    wide = dataclasses.replace(plan, vision="bf16" if native_bf16() else "fp32")
    return VisionChoice(
        wide, None, f"{found} (least {least:.4f}) strays too far: kept {wide.vision}"
    )
