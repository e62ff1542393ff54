"""Does a Core ML package say what its source says?  Its saved program is run here; else refused.

What Core ML would compute in float16 is computed in float32 (galago/engine/mil.py), so how much
room float16 leaves is measured: a result that it can't hold would be infinite on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float
from galago.checkpoints.vlm import Checkpoint
from galago.convert.selfcheck import Reference
from galago.engine.mil import Package, Port
from galago.errors import ExportError
from galago.export.clip_figures import ClipProof, Seen, compared_vectors
from galago.export.figures import Answers, Proof, ask, compared, logits_through
from galago.specs import Qwen2Spec
from galago.text.tokens import load_tokenizer
from galago.vlm.fastvlm import FastVLM

__all__ = [
    "HALF_MOST",
    "MASKED",
    "CoreMLLanguage",
    "CoreMLVision",
    "expect",
    "prove_coreml",
    "prove_coreml_clip",
]

HALF_MOST = 65504.0  # the largest number of float16
MASKED = -1e4  # added to the score of what a token doesn't see
_EXACT = 1e-3  # of features relative to the largest: they leave the projector in float16
_BOUNDS = {"fp16": "bf16", "int8": "int8", "int4": "int4"}


class CoreMLVision:
    """A trunk and a projector, as galago.vlm.reply.VisionModel."""

    def __init__(self, trunk: Package, projector: Package) -> None:
        self._trunk, self._projector = trunk, projector

    def encode(self, pixel_values: Float) -> Float:
        """(1, 3, H, W) -> (1, T, hidden)"""
        images = np.ascontiguousarray(pixel_values, np.float32)
        seen = self._trunk.run({"images": images})["image_features"]
        return np.asarray(
            self._projector.run({"image_features": seen})["inputs_embeds"], np.float32
        )

    def release(self) -> None:
        """Nothing is held that a later call would not need."""


class CoreMLLanguage:
    """An embedding table and a decoder, as galago.vlm.decode.LanguageModel."""

    def __init__(self, table: Package, decoder: Package, spec: Qwen2Spec) -> None:
        self.hidden, self.vocab = spec.hidden, spec.vocab
        self._table, self.decoder = table, decoder

    def embed(self, ids: ArrayLike) -> Float:
        """Ids (T,) -> (T, hidden)"""
        rows = np.asarray(ids, np.int32).reshape(1, -1)
        if not rows.size:
            return np.empty((0, self.hidden), np.float32)
        return np.asarray(self._table.run({"input_ids": rows})["inputs_embeds"][0], np.float32)

    def new_cache(self) -> CoreMLCache:
        """An empty one."""
        return CoreMLCache(self.decoder)

    def continuing_pays(self, known: int, new: int) -> bool:
        """Always: what is compared is words, not time."""
        return True


class CoreMLCache:
    """The states, handed in and out."""

    def __init__(self, decoder: Package) -> None:
        self._decoder = decoder
        self._states: dict[str, NDArray[np.float16]] = {
            name: np.zeros([size for size in port.shape if isinstance(size, int)], np.float16)
            for name, port in decoder.states.items()
        }
        self.length = 0

    def inputs(self, inputs_embeds: Float) -> dict[str, NDArray[np.float16]]:
        """What the decoder is given for (T, hidden) more."""
        new = len(inputs_embeds)
        places = np.arange(self.length + new)
        hidden = places[None] > places[self.length :, None]
        mask = np.where(hidden, np.float16(MASKED), np.float16(0))
        embeds = np.ascontiguousarray(inputs_embeds[None], np.float16)
        return {"inputs_embeds": embeds, "causal_mask": mask[None, None], **self._states}

    def append(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden) -> logits (vocab,) after the last."""
        found = self._decoder.run(self.inputs(inputs_embeds))
        self.length += len(inputs_embeds)
        self._states = {name: found[f"{name}.next"] for name in self._states}
        return np.asarray(found["logits"][0, -1], np.float32)

    def append_all(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden) -> logits (T, vocab); one by one, as the decoder gives the last."""
        return np.stack([self.append(row[None]) for row in inputs_embeds])

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` positions: what lies behind is written over."""
        self.length = length

    def rest(self) -> None:
        """Nothing runs on."""


def expect(package: Package, path: Path, ports: Mapping[str, Port]) -> None:
    """ExportError unless these, and no others, are the package's inputs, outputs and states."""
    found = {**package.inputs, **package.outputs, **package.states}
    if found != dict(ports):
        told = ", ".join(f"{name} {port.told()}" for name, port in found.items())
        raise ExportError(f"{path.name} has other inputs or outputs than it should: {told}")


def prove_coreml(
    dtype: str,
    packages: Mapping[str, Package],
    source: Checkpoint,
    reference: Reference,
    answers: Answers | None,
) -> tuple[Proof, float]:
    """`packages`: trunk, projector, table and decoder of this dtype -> figures, and the largest
    magnitude that the decoder holds in float16.

    ExportError when they stray, or a result would leave float16: the export must not be kept.
    """
    vision = CoreMLVision(packages["trunk"], packages["projector"])
    language = CoreMLLanguage(packages["table"], packages["decoder"], source.spec.text)
    largest = _largest(language.decoder, CoreMLCache(language.decoder), reference.sequences)
    features = [vision.encode(pixels)[0] for pixels in reference.pixels]
    logits = [
        logits_through(language, sequence, len(take))
        for sequence, take in zip(reference.sequences, reference.takes, strict=True)
    ]
    both = None
    if answers is not None:
        vlm = FastVLM(vision, language, load_tokenizer(source.folder), source.spec)
        asked = [(picture, question) for picture, question, _ in answers]
        both = answers, ask(vlm, asked, whole=True)
    proof = compared(dtype, _BOUNDS[dtype], reference, features, logits, both)
    if not proof.error <= _EXACT:
        raise ExportError(f"the trunk strays from its source and was not kept: {proof.sentence()}")
    return proof, largest


def _largest(decoder: Package, cache: CoreMLCache, sequences: Sequence[Float]) -> float:
    return _fits(max(decoder.largest(cache.inputs(one)) for one in sequences))


def _fits(largest: float) -> float:
    if not largest <= HALF_MOST:  # so that NaN fails
        raise ExportError(
            f"a result of magnitude {largest:,.0f} would be infinite in float16, which Core ML "
            "computes this in: the export was not kept"
        )
    return largest


def prove_coreml_clip(
    dtype: str, image: Package, text: Package, source: ClipCheckpoint, seen: Seen
) -> tuple[ClipProof, float]:
    """Figures, and the largest magnitude that a tower holds in float16 (0 in fp32).

    ExportError as `prove_coreml`.
    """
    spec = source.spec.image
    mean, std = (np.reshape(one, (1, 3, 1, 1)).astype(np.float32) for one in (spec.mean, spec.std))
    pictures = np.rint((seen.pixels * std + mean) * 255).astype(np.float32)  # as a phone has them
    ids = seen.ids.astype(np.int32)
    largest = max(
        image.largest({"image": pictures[:1]}), *(text.largest({"text": row[None]}) for row in ids)
    )
    _fits(largest)
    images = [image.run({"image": one[None]})["final_emb_1"][0] for one in pictures]
    texts = [text.run({"text": row[None]})["final_emb_1"][0] for row in ids]
    proof = compared_vectors(dtype, seen, np.stack(images), np.stack(texts))
    return proof, largest
