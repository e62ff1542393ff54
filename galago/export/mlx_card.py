"""The README of a folder for MLX, and what people are told of it."""

from __future__ import annotations

from collections.abc import Sequence

from galago.export.card_head import head
from galago.export.figures import Proof
from galago.export.mlx_weights import Form
from galago.hub.resolve import ResolvedModel
from galago.specs import FASTVITHD, VLMSpec

__all__ = ["mlx_card", "mlx_remarks"]

_APP_TOKENS, _APP_WIDTH = 256, 3072  # what Apple's app has in its code
_USE_WHOLE = """\
```sh
pip install mlx-vlm
python -m mlx_vlm.generate --model path/to/this/folder --image photo.jpg \\
  --prompt "Describe the image in English." --max-tokens 128 --temperature 0
```

mlx-swift-lm takes the folder as `ModelConfiguration(directory: url)`."""
_USE_APP = """\
Put the files of this folder into `app/FastVLM/model` of
[apple/ml-fastvlm](https://github.com/apple/ml-fastvlm), beside `fastvithd.mlpackage` of the same
model, and build the app with Xcode."""


def mlx_remarks(spec: VLMSpec, form: Form) -> tuple[str, ...]:
    """What doesn't fit which program, a line each."""
    found = []
    if form == "whole":
        if spec.vision != FASTVITHD:
            found.append(
                "mlx-vlm has FastViTHD's depths and widths in its code and can't load this trunk "
                "unless they are changed there; mlx-swift-lm reads them from config.json"
            )
        if spec.image.fit == "pad" and any(spec.image.mean):
            found.append(
                "mlx-vlm and mlx-swift-lm pad pictures that aren't square with black; this model "
                "was trained with its mean colour"
            )
    else:
        tokens = (spec.image.side // spec.vision.stride) ** 2
        if (tokens, spec.vision.features) != (_APP_TOKENS, _APP_WIDTH):
            found.append(
                f"Apple's app takes {_APP_TOKENS} image tokens of {_APP_WIDTH} numbers, as it "
                f"stands in its code; this model has {tokens} of {spec.vision.features}: change it "
                "there (FastVLM.swift)"
            )
        found.append("it has no eyes: they are a Core ML package of the same model beside it")
    return tuple(found)


def mlx_card(
    model: ResolvedModel,
    spec: VLMSpec,
    form: Form,
    proof: Proof,
    size: int,
    remarks: Sequence[str],
) -> str:
    """The text; `size`: of the weights' files, in bytes."""
    check = proof.check
    same = f"{proof.same} of {proof.asked}" if proof.asked else "–"
    seen = "" if form == "whole" else " (by the source's trunk; the projector is the folder's)"
    lines = [
        *head(model, f"MLX, {proof.dtype}"),
        _STORED[proof.dtype],
        "",
        f"Pictures: {spec.image.side} px square.",
        "",
        "## How it was checked",
        "",
        "Its tensors were read back, dequantised and run by galago's own engine, and compared with "
        "the source in float32, on three pictures and a passage of text; then both were asked "
        "ready questions, and equal answers were counted. It was not run on a Mac or an iPhone.",
        "",
        "| dtype | weights | feature cosine, least | features within | next token agrees | KL | "
        "same answers |",
        "|---|---|---|---|---|---|---|",
        f"| {proof.dtype} | {size / 1e6:,.1f} MB | {check.cosine_min:.5f}{seen} | "
        f"{proof.error:.1e} | {check.top1:.1%} of {check.decided} | {check.kl:.4f} | {same} |",
        "",
        *(f"- {remark[:1].upper()}{remark[1:]}." for remark in remarks),
        "",
        "## Use",
        "",
        _USE_WHOLE if form == "whole" else _USE_APP,
        "",
    ]
    return "\n".join(lines)


_QUANTISED = (
    "The decoder's matrices and the embedding are in {bits} bits, in groups of 64 with a scale and "
    "a bias each; the trunk, the projector and the norms in bf16."
)
_STORED = {
    "bf16": "All weights in bf16.",
    "8bit": _QUANTISED.format(bits=8),
    "4bit": _QUANTISED.format(bits=4),
    "fp32": "All weights in float32.",
}
