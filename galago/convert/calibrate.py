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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import openvino.opset13 as op

from galago import images, layout
from galago.checkpoint import Checkpoint
from galago.graph import fastvit, ops, ov
from galago.precision import PrecisionPlan
from galago.quantise import FULL_TOP, HALF_TOP, Range
from galago.selfcheck import BOUNDS, PICTURES, compare_vision
from galago.sessions import native_bf16
from galago.specs import VLMSpec
from galago.weights import InMemory, Narrow, collect, depthwise_before, vision_items

Float = npt.NDArray[np.float32]

_SIDE = 512
_STRETCH = 1.1
# 30 dB: one part in a thousand of the input's energy may be rounding.
_LEAST_RATIO = 1e3
_LEVELS = 255


def calibrate(weights: Mapping[str, InMemory], spec: VLMSpec, top: int) -> Narrow:
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
    return Narrow(ranges, gains, top)


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
    seen = [images.preprocess(picture, wanted) for picture in opened]
    return [np.ascontiguousarray(pixels[None, :, :, ::-1]) for pixels in seen]


def measure(
    weights: Mapping[str, InMemory], spec: VLMSpec, seen: Sequence[Float]
) -> dict[str, tuple[Float, Float, Float]]:
    """Layer -> least, largest and mean square (C,) of its input's channels over all pictures."""
    model = fastvit.build(weights, spec.vision)
    layers = [node for node in model.get_ops() if _may_be_narrow(node)]
    outputs = []
    for node in layers:
        x, axes = node.input_value(0), ops.integers(0, 2, 3)
        square = op.reduce_mean(op.multiply(x, x), axes)
        parts = (op.reduce_min(x, axes), op.reduce_max(x, axes), square)
        outputs += [op.result(part) for part in parts]
    probe = ov.Model(outputs, model.get_parameters(), "ranges")
    compiled = ov.Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    runs = [list(compiled({"pixel_values": one}).values()) for one in seen]
    figures: dict[str, tuple[Float, Float, Float]] = {}
    for at, node in enumerate(layers):
        low, high, square = (np.stack([run[3 * at + part] for run in runs]) for part in range(3))
        name = layout.VISION + node.get_friendly_name()
        figures[name] = (low.min(0), high.max(0), square.mean(0))
    return figures


def _may_be_narrow(node: ops.Node) -> bool:
    """1x1 convolutions over the picture: nine tenths of the trunk's work. (Gates are tiny.)"""
    if node.get_type_name() != "Convolution" or ".se." in node.get_friendly_name():
        return False
    return tuple(node.input_value(1).get_shape()[2:]) == (1, 1)


def exact_products() -> bool:
    """Whether 8-bit products add up exactly on this processor.

    Without VNNI two products of an unsigned and a signed byte are added in 16 bits and may hit the
    end of that range; weights of 7 bits never do.
    """
    channels = 64
    pixels = op.parameter(ov.PartialShape([1, channels, 8, 8]), ov.Type.f32)
    narrow = op.fake_quantize(pixels, *(np.float32(n) for n in (0, 255, 0, 255)), 256)
    full = op.constant(np.full((channels, channels, 1, 1), 127, np.int8))
    matrix = op.multiply(op.convert(full, "f32"), op.constant(np.ones((channels, 1, 1, 1), "f4")))
    product = op.convolution(narrow, matrix, [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = ov.Core().compile_model(ov.Model([op.result(product)], [pixels], "probe"), "CPU")
    found = compiled(np.full((1, channels, 8, 8), 255, np.float32))[0]
    return bool(np.allclose(found, 255 * 127 * channels, rtol=0.01))


@dataclass(frozen=True)
class Settled:
    """What vision can be: the plan, its 8-bit layers if any, and a word on how it went."""

    plan: PrecisionPlan
    narrow: Narrow | None
    message: str


def settle(source: Checkpoint, plan: PrecisionPlan, *, keep: bool = False) -> Settled:
    """An int8 plan tried on this model's own weights; floating point where it strays too far.

    Unless it is to be kept whatever comes out.
    """
    spec = source.spec
    full = collect(vision_items(source, "fp32"))
    narrow = calibrate(full, spec, FULL_TOP if exact_products() else HALF_TOP)
    ours = collect(vision_items(source, "int8", narrow))
    mean, least = compare_vision(full, ours, spec, plan)
    bounds = BOUNDS[plan.language]
    matrices = " and all matrices" if narrow.exact else ""
    layers = f"{len(narrow.ranges)} convolutions{matrices} of vision in 8 bits"
    found = f"{layers}, feature cosine {mean:.4f}"
    if mean >= bounds.cosine_mean and least >= bounds.cosine_min:
        return Settled(plan, narrow, f"{found} (least {least:.4f})")
    if keep:
        return Settled(plan, narrow, f"{found} (least {least:.4f}): kept all the same")
    wide = dataclasses.replace(plan, vision="bf16" if native_bf16() else "fp32")
    return Settled(wide, None, f"{found} (least {least:.4f}) strays too far: kept {wide.vision}")
