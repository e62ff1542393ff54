"""The README of a folder of Core ML packages: what they take and give, and how they were proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.vlm import Checkpoint
from galago.engine.mil import Port
from galago.export.card_head import head
from galago.export.clip_figures import ClipProof
from galago.export.figures import Proof
from galago.hub.resolve import ResolvedModel

__all__ = ["Listed", "coreml_card", "coreml_clip_card"]

_APP = """\
Put `fastvithd.mlpackage` into `app/FastVLM/model` of
[apple/ml-fastvlm](https://github.com/apple/ml-fastvlm), beside the files of
`galago export MODEL OUT --to mlx-app`, and build the app with Xcode: it takes `images`
(normalised) and gives `image_features`, not projected.
"""
_OWN = """\
The trunk's features don't fit Apple's app, which has 256 tokens of 3072 numbers in its code: this
is for an app of your own.
"""
_USE = """\
An app that does all in Core ML (iOS 18, macOS 15): `image_features` of a picture through the
projector, ids through `embed_tokens`, both side by side into the decoder with one state for a
conversation. `causal_mask` [1, 1, T, S] has 0 where a token may look and -10000 elsewhere; S counts
the tokens in the state and the T new ones. `galago.json` tells side, mean, ends of a reply and how
many tokens a state holds.
"""
_NOT_TRIED = (
    "Not tried: an iPhone, a Mac, Xcode. What was run is the saved program, by OpenVINO on another "
    "processor, in float32; Core ML may choose other kernels and float16."
)


@dataclass(frozen=True)
class Listed:
    """A package: its name, bytes, and ports."""

    name: str
    size: int
    inputs: Mapping[str, Port]
    states: Mapping[str, Port]
    outputs: Mapping[str, Port]


def coreml_card(
    model: ResolvedModel,
    source: Checkpoint,
    listed: Sequence[Listed],
    proofs: Sequence[Proof],
    largest: float,
    fits: bool,
) -> str:
    """The text; `fits`: whether Apple's app takes the trunk."""
    lines = [
        *head(model, "Core ML"),
        f"Pictures: {source.spec.image.side} px square.",
        "",
        *_packages(listed),
        "## How it was checked",
        "",
        "Each saved package was read back, its program run by OpenVINO and compared with its "
        "source in float32, on three pictures and a passage of text"
        + ("; then both were asked ready questions." if proofs[0].asked else ". Answers were not "
           "compared: the source in float32 did not fit the memory."),
        "",
        "| decoder | feature cosine, least | features within | next token agrees | KL | "
        "same answers |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for proof in proofs:
        check = proof.check
        same = f"{proof.same} of {proof.asked}" if proof.asked else "–"
        lines.append(
            f"| {proof.dtype} | {check.cosine_min:.5f} | {proof.error:.1e} | "
            f"{check.top1:.1%} of {check.decided} | {check.kl:.4f} | {same} |"
        )
    lines += [
        "",
        f"The largest magnitude that a decoder holds in float16 there is {largest:,.0f} "
        "(float16 ends at 65,504). Trunk and projector compute in float32, as Apple's trunk does; "
        "int8 has a scale a row, int4 one for 32 weights, and with both output layer and embedding "
        "are int8.",
        "",
        _NOT_TRIED,
        "",
        "## Use",
        "",
        _APP if fits else _OWN,
        _USE,
    ]
    return "\n".join(lines)


def coreml_clip_card(
    model: ResolvedModel,
    source: ClipCheckpoint,
    listed: Sequence[Listed],
    proof: ClipProof,
    largest: float,
) -> str:
    """The text."""
    half = (
        f"The largest magnitude that is held in float16 there is {largest:,.0f} (float16 ends at "
        "65,504)."
        if largest
        else "Everything is computed in float32."
    )
    return "\n".join(
        [
            *head(model, "Core ML"),
            f"Vectors of {source.spec.embed} numbers, to be brought to unit length; the scale of "
            f"logits is exp({source.logit_scale:.4f}). Names are those of apple/coreml-mobileclip. "
            "`image` is a picture of the right size (Core ML's own type: colours of 0 to 255); "
            "`text` ids with zeros behind the end.",
            "",
            *_packages(listed),
            "## How it was checked",
            "",
            "Both saved packages were read back, their programs run by OpenVINO and the vectors "
            "compared with the source's in float32.",
            "",
            "| dtype | least cosine, pictures | least cosine, texts | same best text |",
            "|---|---|---|---|",
            f"| {proof.dtype} | {proof.image_cosine:.6f} | {proof.text_cosine:.6f} | "
            f"{proof.same} of {proof.asked} |",
            "",
            half,
            "",
            _NOT_TRIED,
            "",
        ]
    )


def _packages(listed: Sequence[Listed]) -> list[str]:
    lines = ["| package | size | inputs | states | outputs |", "|---|---|---|---|---|"]
    for one in listed:
        ports = (_ports(found) for found in (one.inputs, one.states, one.outputs))
        lines.append(f"| `{one.name}` | {one.size / 1e6:,.1f} MB | {' | '.join(ports)} |")
    return [*lines, ""]


def _ports(found: Mapping[str, Port]) -> str:
    told = (f"`{name}` {port.told()}" if port.shape else f"`{name}` {port.kind}"
            for name, port in found.items())  # fmt: skip
    return ", ".join(told) or "–"
