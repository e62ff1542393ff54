"""Shapes and constants of the models, as frozen data.

A spec is read from a model's configuration (galago/checkpoints) or written by hand (the
presets below). Networks, preprocessing and prompts look at specs only, so nothing in galago
branches on a model's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from galago.errors import OptionError

Mixer = Literal["repmixer", "attention"]
Norm = Literal["layer", "batch"]
Resample = Literal["bicubic", "bilinear"]
Fit = Literal["pad", "crop"]
Side = int | Literal["auto"]  # of the square in pixels that pictures are looked at with

# What --precision takes. A pair is language-vision; one word leaves vision in floating point.
PRECISIONS = ("auto", "fp32", "bf16", "int8", "int4", "int8-int8", "int4-int8")
CLIP_PRECISIONS = ("auto", "fp32", "bf16", "int8")

# CLIP's vocabulary (openai/CLIP, clip/simple_tokenizer.py), and how many ids a text may have.
CLIP_VOCAB, CLIP_CONTEXT = 49408, 77
CLIP_SMALLEST_VOCAB = 514  # bytes, bytes at the end of a word, start and end


@dataclass(frozen=True)
class ImageSpec:
    """How a picture becomes pixel values of `side` x `side`.

    `fit="pad"` puts the whole picture on a square filled with the mean colour; `"crop"` scales the
    shortest edge and cuts the centre, whose corner `rounded` (as torchvision does, for MobileCLIP)
    may lie a pixel further than when cut off (as transformers does, for FastVLM). Pixels are scaled
    to 0..1, then (x - mean) / std.
    """

    side: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resample: Resample = "bicubic"
    fit: Fit = "pad"
    rounded: bool = False
    stride: int = 64
    max_side: int = 1536
    min_side: int = 256

    def with_side(self, side: int) -> ImageSpec:
        """The same preprocessing at another resolution; OptionError when it is not allowed."""
        in_range = self.min_side <= side <= self.max_side
        if not in_range or side % self.stride:
            raise OptionError(
                f"resolution {side} is not possible: use a multiple of {self.stride} "
                f"from {self.min_side} to {self.max_side}"
            )
        return replace(self, side=side)


@dataclass(frozen=True)
class FastViTSpec:
    """A FastViT trunk (https://arxiv.org/abs/2303.14189), one entry a stage.

    FastViTHD is MCI3 without its classifier. Attention stages begin with a 7x7 conditional
    position encoding; every stage but the first begins with a stride-2 patch embedding.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    mixers: tuple[Mixer, ...]
    mlp_ratios: tuple[float, ...]
    se_downsamples: tuple[bool, ...]
    norm: Norm = "layer"
    head_dim: int = 32
    exp_ratio: float = 2.0
    downsample_act: bool = True

    @property
    def stride(self) -> int:
        """Pixels per side of one output position (two stride-2 stem convolutions, then stages)."""
        return 4 * int(2 ** (len(self.depths) - 1))

    @property
    def features(self) -> int:
        """Channels that come out of the final expansion convolution."""
        return int(self.widths[-1] * self.exp_ratio)


def _mci_small(depths: tuple[int, ...], width: int) -> FastViTSpec:
    return FastViTSpec(
        depths=depths,
        widths=(width, width * 2, width * 4, width * 8),
        mixers=("repmixer", "repmixer", "repmixer", "attention"),
        mlp_ratios=(3.0,) * 4,
        se_downsamples=(False, False, True, True),
        norm="batch",
    )


def _mci_large(depths: tuple[int, ...], width: int) -> FastViTSpec:
    return FastViTSpec(
        depths=depths,
        widths=(width, width * 2, width * 4, width * 8, width * 16),
        mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
        mlp_ratios=(4.0,) * 5,
        se_downsamples=(False,) * 5,
        norm="layer",
    )


# MobileCLIP2, https://arxiv.org/abs/2508.20691; FastViTHD, https://arxiv.org/abs/2412.13303.
MCI0 = _mci_small((2, 6, 10, 2), 64)
MCI1 = _mci_small((4, 12, 20, 4), 64)
MCI2 = _mci_small((4, 12, 24, 4), 80)
MCI3 = _mci_large((2, 12, 24, 4, 2), 96)
MCI4 = _mci_large((2, 12, 24, 4, 4), 128)
FASTVITHD = MCI3


@dataclass(frozen=True)
class Qwen2Spec:
    """A Qwen2 decoder. `tied`: the embedding table is also the output projection; `positions`: how
    many of prompt and reply together it was trained with, FastVLM's unless a model tells."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int
    rope_theta: float = 1e6
    rms_eps: float = 1e-6
    tied: bool = True
    positions: int = 8192

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


@dataclass(frozen=True)
class PromptSpec:
    """The chat template and where pictures go in it.

    `image_token_id` marks the slot of a picture in a list of ids; it is never fed to the model
    (-200 in llava code, a padding id in transformers).
    """

    system: str = "You are a helpful assistant."
    template: str = "qwen2"
    image_token_id: int = -200


@dataclass(frozen=True)
class VLMSpec:
    """Everything needed to build, feed and stop one vision-language model."""

    name: str
    layout: str
    vision: FastViTSpec
    text: Qwen2Spec
    image: ImageSpec
    projector: tuple[int, ...]
    eos_ids: tuple[int, ...]
    prompt: PromptSpec


@dataclass(frozen=True)
class ViTSpec:
    """A plain vision transformer (https://arxiv.org/abs/2010.11929) with a class token.

    `stem="patch"` cuts `patch` x `patch` px patches; "conv" reaches the same stride with three
    convolutions, as MobileCLIP-B does, the first of them padded by `stem_padding` px. `pre_norm`: a
    norm before the first block, as CLIP has it; `class_position`: the class token has a position of
    its own.
    """

    width: int
    layers: int
    heads: int
    patch: int
    stem: Literal["patch", "conv"] = "patch"
    pre_norm: bool = False
    class_position: bool = True
    eps: float = 1e-6
    mlp_ratio: float = 4.0
    stem_padding: int = 0

    @property
    def stride(self) -> int:
        return self.patch

    @property
    def features(self) -> int:
        return self.width


VIT_B_MCI = ViTSpec(768, 12, 12, 16, stem="conv", class_position=False)
# As Apple's own code runs it (ConvNormAct in mobileclip/models/vit.py pads);
# timm and open_clip don't pad.
VIT_B_MCI_PADDED = replace(VIT_B_MCI, stem_padding=1)
VIT_L_14 = ViTSpec(1024, 24, 16, 14, pre_norm=True, eps=1e-5)


@dataclass(frozen=True)
class ClipTextSpec:
    """A CLIP text transformer (https://arxiv.org/abs/2103.00020).

    Without the causal mask every position sees all `context` of them, the padding too. `mixers`:
    a block of convolutions over the tokens before and behind the `layers`, as in the text tower of
    the first MobileCLIP-S0 (https://arxiv.org/abs/2311.17049, section 4).
    """

    width: int
    heads: int
    layers: int
    causal: bool
    context: int = CLIP_CONTEXT
    vocab: int = CLIP_VOCAB
    eps: float = 1e-5
    mlp_ratio: float = 4.0
    mixers: bool = False


@dataclass(frozen=True)
class ClipSpec:
    """Everything needed to build and feed a model that puts pictures and words in one space."""

    name: str
    vision: FastViTSpec | ViTSpec
    text: ClipTextSpec
    image: ImageSpec
    embed: int
