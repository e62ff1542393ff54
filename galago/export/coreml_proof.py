"""Does a Core ML package say what its source says?  Its saved program is run here; else refused.

What Core ML would compute in float16 is computed in float32 (galago/engine/mil.py), so how much
room float16 leaves is measured: a result that it can't hold would be infinite on a phone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.tensors import Float
from galago.checkpoints.vlm import Checkpoint
from galago.convert.selfcheck import Reference
from galago.engine.mil import Package, Port
from galago.errors import ExportError
from galago.export.clip_figures import ClipProof, Seen, compared_vectors
from galago.export.coreml_parts import decoder_inputs, empty_state, read_logits
from galago.export.figures import Answers, Proof, ask, compared
from galago.specs import Qwen2Spec
from galago.text.tokens import load_tokenizer
from galago.vlm.fastvlm import FastVLM

__all__ = [
    "HALF_MOST",
    "CoreMLLanguage",
    "CoreMLVision",
    "expect",
    "prove_coreml",
    "prove_coreml_clip",
]

HALF_MOST = 65504.0  # the largest number of float16
_EXACT = 1e-3  # of features relative to the largest: they leave the projector in float16
_ONE = 1 << 40  # more bytes than a tower has: it stays in one part
_BOUNDS = {"fp16": "bf16", "int8": "int8", "int4": "int4"}


class CoreMLVision:
    """A trunk and a projector, as galago.vlm.reply.VisionModel.

    A picture is looked at once: all dtypes have the same trunk.
    """

    def __init__(self, trunk: Package, projector: Package) -> None:
        self._trunk, self._projector = trunk, projector
        self._seen: dict[bytes, Float] = {}

    def encode(self, pixel_values: Float) -> Float:
        """(1, 3, H, W) -> (1, T, hidden)"""
        images = np.ascontiguousarray(pixel_values, np.float32)
        picture = hashlib.sha256(images.tobytes()).digest()
        if picture not in self._seen:
            seen = self._trunk.run({"images": images})["image_features"]
            made = self._projector.run({"image_features": seen})["inputs_embeds"]
            self._seen[picture] = np.asarray(made, np.float32)
        return self._seen[picture]

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
    """The state, handed in and out row by row."""

    def __init__(self, decoder: Package) -> None:
        self._decoder = decoder
        self._state = empty_state(decoder)
        self.length = 0

    def append(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden) -> logits (vocab,) after the last."""
        found = self._decoder.run({**decoder_inputs(inputs_embeds, self.length), **self._state})
        self.length += len(inputs_embeds)
        self._state = {name: found[f"{name}.next"] for name in self._state}
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
    vision: CoreMLVision,
    language: CoreMLLanguage,
    source: Checkpoint,
    reference: Reference,
    answers: Answers | None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Proof, float]:
    """Figures of this dtype's packages, and the largest magnitude that the decoder holds in
    float16.

    ExportError when they stray, or a result would leave float16: the export must not be kept.
    """
    counts = [len(take) for take in reference.takes]
    logits, largest = read_logits(language.decoder, reference.sequences, counts, progress)
    _fits(largest)
    features = [vision.encode(pixels)[0] for pixels in reference.pixels]
    both = None
    if answers is not None:
        vlm = FastVLM(vision, language, load_tokenizer(source.folder), source.spec)
        asked = [(picture, question) for picture, question, _ in answers]
        both = answers, ask(vlm, asked, whole=True)
    proof = compared(dtype, _BOUNDS[dtype], reference, features, logits, both)
    if not proof.error <= _EXACT:
        raise ExportError(f"the trunk strays from its source and was not kept: {proof.sentence()}")
    return proof, largest


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
    (image_part,), (text_part,) = (list(one.parts(_ONE)) for one in (image, text))
    images = [image_part.run({"image": one[None]})["final_emb_1"][0] for one in pictures]
    texts = [text_part.run({"text": row[None]})["final_emb_1"][0] for row in ids]
    largest = _fits(max(image_part.largest, text_part.largest))
    proof = compared_vectors(dtype, seen, np.stack(images), np.stack(texts))
    return proof, largest
