"""Exported graphs in the place of galago's own sessions, so that the same code asks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galago.checkpoints.tensors import Float
from galago.engine.exported import Exported
from galago.export.fastvlm import GRAPHS, Dtype, file_name
from galago.specs import Qwen2Spec

__all__ = ["ExportedLanguage", "ExportedVision"]


class ExportedVision:
    """vision_encoder, as galago.vlm.reply.VisionModel."""

    def __init__(self, folder: Path, dtype: Dtype) -> None:
        self._graph = Exported(folder / file_name(GRAPHS[0], dtype))

    def encode(self, pixel_values: Float) -> Float:
        """(B, 3, H, W) -> (B, T, hidden)"""
        found = self._graph.run({"pixel_values": np.ascontiguousarray(pixel_values, np.float32)})
        return np.asarray(found["image_features"], np.float32)

    def release(self) -> None:
        """As Exported.release."""
        self._graph.release()


class ExportedLanguage:
    """embed_tokens and decoder_model_merged, as galago.vlm.decode.LanguageModel."""

    def __init__(self, folder: Path, dtype: Dtype, spec: Qwen2Spec) -> None:
        self.hidden, self.vocab, self.spec = spec.hidden, spec.vocab, spec
        self._table = Exported(folder / file_name(GRAPHS[1], dtype))
        self.decoder = Exported(folder / file_name(GRAPHS[2], dtype))

    def embed(self, ids: ArrayLike) -> Float:
        """Ids (T,) -> (T, hidden)"""
        rows = np.asarray(ids, np.int64).reshape(1, -1)
        if not rows.size:
            return np.empty((0, self.hidden), np.float32)
        return np.asarray(self._table.run({"input_ids": rows})["inputs_embeds"][0], np.float32)

    def new_cache(self) -> ExportedCache:
        """An empty one."""
        return ExportedCache(self)

    def continuing_pays(self, known: int, new: int) -> bool:
        """Always: what is compared is words, not time."""
        return True


class ExportedCache:
    """Keys and values as the graph takes and gives them."""

    def __init__(self, language: ExportedLanguage) -> None:
        self._language = language
        spec = language.spec
        empty = np.zeros((1, spec.kv_heads, 0, spec.head_dim), np.float32)
        names = [f"{index}.{part}" for index in range(spec.layers) for part in ("key", "value")]
        self._past: dict[str, NDArray[np.floating]] = dict.fromkeys(names, empty)
        self.length = 0

    def append(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden) -> logits (vocab,) after the last."""
        self.length += len(inputs_embeds)
        inputs: dict[str, NDArray[Any]] = {
            "inputs_embeds": np.ascontiguousarray(inputs_embeds[None], np.float32),
            "attention_mask": np.ones((1, self.length), np.int64),
        }
        inputs |= {f"past_key_values.{name}": held for name, held in self._past.items()}
        found = self._language.decoder.run(inputs)
        self._past = {name: found[f"present.{name}"] for name in self._past}
        return np.asarray(found["logits"][0, -1], np.float32)

    def append_all(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden) -> logits (T, vocab); one by one, as the graph gives the last alone."""
        return np.stack([self.append(row[None]) for row in inputs_embeds])

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` positions."""
        self._past = {name: held[:, :, :length] for name, held in self._past.items()}
        self.length = length

    def rest(self) -> None:
        """Nothing runs on."""
