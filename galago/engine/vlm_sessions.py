"""Compiled networks to call: pictures to features, embeddings to logits, and the cache between.

Sessions are made by galago.convert.load. Arrays in and out are numpy; nothing here knows pictures'
files, text or sampling.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galago.checkpoints.names import EMBEDDING
from galago.checkpoints.tensors import Float, widen
from galago.engine.device import Device, cpu
from galago.engine.graph import fastvit, qwen2
from galago.engine.graph.ops import Weights
from galago.engine.graph_cache import GraphCache
from galago.engine.network import Network
from galago.engine.precision import PrecisionPlan, language_size
from galago.engine.runtime import ov
from galago.errors import OptionError
from galago.specs import Qwen2Spec, VLMSpec

# A prompt is fed in runs of this many tokens, which bounds memory: the first run's mask (64 MB),
# and behind known tokens the scores of all heads, which the engine holds in float32 there (0.5B:
# 0.5 GB with 8,192 known). The first is long, as what is fed behind it costs more (_PAIR).
_FIRST_RUN, _LATER_RUN = 4096, 1024
# The engine lets tokens behind known ones look back one by one, with the kernel it has for
# decoding: a pair of numbers of a query and a key then costs as much as about 28 products with a
# weight (8-bit weights on AVX-512 with VNNI; in float32 there 8). 8 is the smallest ratio measured,
# so that what is known is kept when in doubt.
_PAIR = 8
# Finite, so that a row with nothing to see would not become NaN; far below any score.
HIDDEN = np.float32(-1e30)


class VisionSession:
    """Trunk and projector, for one thread at a time: others wait.

    It runs on the CPU unless a `device` is given. One that takes inputs of one shape only sees
    squares of `side` (the model's own), one at a time.
    """

    def __init__(
        self,
        weights: Weights,
        spec: VLMSpec,
        plan: PrecisionPlan,
        *,
        threads: int | None = None,
        cache: GraphCache | None = None,
        device: Device | None = None,
        side: int | None = None,
    ) -> None:
        device = device or cpu()
        self.spec = spec
        self._side = (side or spec.image.side) if device.fixed else None
        # 8-bit layers are found in float32 graphs only; bf16 tensors are the CPU's own.
        own = plan.vision == "bf16" and device.plain
        kind = device.products("bf16", exact=False) if own else "f32"

        def build() -> tuple[ov.Model, Weights]:
            model = fastvit.build(weights, spec.vision, kind=kind)
            if self._side is not None:
                model.reshape({"pixel_values": [1, 3, self._side, self._side]})
            return model, weights

        self._network = Network(
            build,
            device.settings(plan.vision, threads, exact=plan.exact),
            cache,
            spec.vision if self._side is None else (spec.vision, self._side),
            device,
        )
        self._request = self._network.new_request()
        self._turn = threading.Lock()

    def encode(self, pixel_values: Float) -> Float:
        """(B, 3, H, W) float32 -> image features (B, T, hidden) float32, T = H * W / stride^2.

        OptionError unless H and W are multiples of the trunk's stride, and the one side that the
        device takes where it takes one only.
        """
        pixels = np.ascontiguousarray(pixel_values, dtype=np.float32)
        stride = self.spec.vision.stride
        if pixels.ndim != 4 or pixels.shape[1] != 3 or any(n % stride for n in pixels.shape[2:]):
            raise OptionError(
                f"pixel values have shape {pixels.shape}; (batch, 3, height, width) with sides in "
                f"multiples of {stride} are needed"
            )
        if self._side is None:
            return self._look(pixels)
        if pixels.shape[2:] != (self._side, self._side):
            raise OptionError(
                f"this device sees pictures of {self._side} x {self._side} pixels only, not of "
                f"{pixels.shape[3]} x {pixels.shape[2]}; open the model with the resolution that "
                "is wanted"
            )
        return np.concatenate([self._look(one[None]) for one in pixels])

    def _look(self, pixels: Float) -> Float:
        with self._turn:
            return self._network.run(self._request, {"pixel_values": pixels})

    def release(self) -> None:
        """As Network.release."""
        self._network.release()

    def runtime_model(self) -> ov.Model:
        """As Network.runtime_model."""
        return self._network.runtime_model()


class LanguageSession:
    """The decoder and its embedding table. Caches made from it share the weights.

    It runs on the CPU unless a `device` is given.
    """

    def __init__(
        self,
        weights: Weights,
        spec: VLMSpec,
        plan: PrecisionPlan,
        *,
        threads: int | None = None,
        cache: GraphCache | None = None,
        device: Device | None = None,
    ) -> None:
        device = device or cpu()
        self.spec: Qwen2Spec = spec.text
        self.hidden, self.vocab = spec.text.hidden, spec.text.vocab
        self._table = weights[EMBEDDING]
        self._network = Network(
            lambda: (qwen2.build(weights, spec.text), weights),
            device.settings(plan.language, threads, exact=plan.exact, decoder=True),
            cache,
            spec.text,
            device,
        )
        self._rotary = rotary_table(spec.text, 2048)

    def embed(self, ids: npt.ArrayLike) -> Float:
        """Token ids (T,) -> embeddings (T, hidden) float32, rows of the memory-mapped table."""
        rows = np.asarray(ids, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= self._table.shape[0]):
            raise OptionError(f"a token id is outside the vocabulary of {self._table.shape[0]}")
        return widen(self._table.read()[rows], self._table.dtype)

    def new_cache(self, batch: int = 1) -> KVCache:
        """An empty cache with its own state; weights are shared."""
        return KVCache(self, self.new_request(), batch)

    def new_request(self) -> ov.InferRequest:
        """As Network.new_request."""
        return self._network.new_request()

    def continuing_pays(self, known: int, new: int) -> bool:
        """Whether feeding `new` tokens behind `known` ones is quicker than feeding all of them."""
        text = self.spec
        pairs = new * (known + new) * text.layers * text.heads * text.head_dim
        return known * language_size(text) >= _PAIR * pairs

    def run(
        self,
        request: ov.InferRequest,
        inputs_embeds: Float,
        mask: Float,
        rotary: tuple[Float, Float],
        take: npt.ArrayLike,
        beam_idx: npt.ArrayLike,
    ) -> Float:
        """One run of the graph (engine/graph/qwen2.py says the shapes): logits (B, N, vocab)."""
        return self._network.run(
            request,
            {
                "inputs_embeds": np.ascontiguousarray(inputs_embeds),
                "mask": mask,
                "cos": rotary[0],
                "sin": rotary[1],
                "take": np.asarray(take, dtype=np.int64),
                "beam_idx": np.asarray(beam_idx, dtype=np.int32),
            },
        )

    def runtime_model(self) -> ov.Model:
        """As Network.runtime_model."""
        return self._network.runtime_model()

    def rotary(self, start: int, stop: int) -> tuple[Float, Float]:
        """cos and sin (1, 1, stop - start, head_dim) of positions start .. stop - 1."""
        table = self._rotary  # caches may run in several threads: one read, one write
        if stop > table[0].shape[2]:
            table = self._rotary = rotary_table(self.spec, 2 * stop)
        return table[0][:, :, start:stop], table[1][:, :, start:stop]


def rotary_table(spec: Qwen2Spec, length: int) -> tuple[Float, Float]:
    """cos and sin (1, 1, length, head_dim) of rotary positions, computed in float64."""
    dim = spec.head_dim
    frequencies = spec.rope_theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    angles = np.outer(np.arange(length, dtype=np.float64), frequencies)
    angles = np.concatenate([angles, angles], axis=-1)[None, None]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def causal_mask(start: int, stop: int) -> Float:
    """(1, 1, stop - start, stop): 0 where a token at start .. may look, very negative elsewhere."""
    seen = np.arange(stop)[None, :] <= np.arange(start, stop)[:, None]
    return np.asarray(np.where(seen, np.float32(0), HIDDEN)[None, None])


State = dict[str, Float]  # a request's keys and values by name: (B, kv_heads, length, head_dim)


def read_state(request: ov.InferRequest) -> State:
    """A request's keys and values; the arrays are copies."""
    return {held.name: held.state.data for held in request.query_state()}


def write_state(request: ov.InferRequest, state: State) -> None:
    """Replace a request's keys and values."""
    for held in request.query_state():
        held.state = ov.Tensor(np.ascontiguousarray(state[held.name]))


class KVCache:
    """Keys and values of what has been fed so far; `length` tokens of them."""

    def __init__(self, session: LanguageSession, request: ov.InferRequest, batch: int) -> None:
        self._session = session
        self._request = request
        self._batch = batch
        self._beams = np.arange(batch, dtype=np.int32)
        self.length = 0

    def append(self, inputs_embeds: Float) -> Float:
        """Feed (T, hidden) -> logits (vocab,) of the last position; (B, T, hidden) -> (B, vocab).

        OptionError when there is nothing to feed or the width is wrong.
        """
        return self._feed(inputs_embeds, every=False)

    def append_all(self, inputs_embeds: Float) -> Float:
        """Like append, but logits of every fed position: (T, vocab) or (B, T, vocab)."""
        return self._feed(inputs_embeds, every=True)

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if not 0 <= length <= self.length:
            raise OptionError(f"a cache of {self.length} tokens cannot be cut to {length}")
        if length == self.length:
            return
        if length == 0:
            self._request.reset_state()
        else:
            kept = {name: held[:, :, :length] for name, held in read_state(self._request).items()}
            write_state(self._request, kept)
        self.length = length

    def rest(self) -> None:
        """The reply is over; nothing to do for a cache that runs by itself."""

    def state(self) -> State:
        """All that is remembered."""
        return read_state(self._request) if self.length else {}

    def restore(self, state: State, length: int) -> None:
        """Remember `length` tokens of another cache instead."""
        if length:
            write_state(self._request, state)
        else:
            self._request.reset_state()
        self.length = length

    def _feed(self, inputs_embeds: Float, *, every: bool) -> Float:
        single = inputs_embeds.ndim == 2
        embeds = np.ascontiguousarray(inputs_embeds[None] if single else inputs_embeds, np.float32)
        wanted = (self._batch, self._session.hidden)
        if embeds.ndim != 3 or (embeds.shape[0], embeds.shape[2]) != wanted or not embeds.shape[1]:
            raise OptionError(
                f"embeddings have shape {inputs_embeds.shape}; "
                f"({self._batch}, 1 or more, {self._session.hidden}) is needed"
            )
        outputs, start = [], 0
        while start < embeds.shape[1]:
            stop = start + (_LATER_RUN if self.length else _FIRST_RUN)
            outputs.append(self._run(embeds[:, start:stop], every=every))
            start = stop
        logits = np.concatenate(outputs, axis=1) if every else outputs[-1][:, -1]
        return logits[0] if single else logits

    def _run(self, embeds: Float, *, every: bool) -> Float:
        count = embeds.shape[1]
        stop = self.length + count
        rotary = self._session.rotary(self.length, stop)
        take = np.arange(count) if every else np.array([count - 1])
        mask = causal_mask(self.length, stop)
        if self._batch > 1:  # in bf16 the engine reads past a mask of one row
            mask = np.repeat(mask, self._batch, axis=0)
        logits = self._session.run(self._request, embeds, mask, rotary, take, self._beams)
        self.length = stop
        return logits


@dataclass(frozen=True)
class Sessions:
    """A loaded model; `identity` tells its features from another's (vlm_weights.identity_of)."""

    vision: VisionSession
    language: LanguageSession
    spec: VLMSpec
    precision: PrecisionPlan
    identity: str
