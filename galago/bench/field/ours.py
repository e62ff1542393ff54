"""Parts in OpenVINO, by the building blocks of galago's own networks.

Towers run as the engine runs FastVLM's; decoders as `galago.engine` runs Qwen2, which Llama is
without three biases.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from galago.bench.field.graphs import build
from galago.bench.field.models import DECODERS, TOWERS, Decoder
from galago.bench.field.timing import filled, pool, timed
from galago.bench.field.towers import Tower, operations, shapes
from galago.bench.vlm.cost import prefill_operations
from galago.checkpoints.names import EMBEDDING, HEAD, text_shapes
from galago.checkpoints.tensors import Float, InMemory, to_bf16
from galago.engine.folding import folded_shapes
from galago.engine.network import Network
from galago.engine.precision import resolve_precision
from galago.engine.processor import native_bf16, options
from galago.engine.vlm_sessions import LanguageSession
from galago.memory import peak_memory
from galago.specs import FASTVITHD, FastViTSpec, ImageSpec, PromptSpec, VLMSpec

__all__ = ["decoder", "held", "random_decoder", "session", "tower", "tower_weights"]

Options = Mapping[str, Any]


def tower(asked: Options) -> dict[str, Any]:
    """A tower at its sizes "SIDExCOUNT": seconds for all pictures of a size together."""
    name = asked["tower"]
    seen, _ = TOWERS[name]
    sizes = {size: tuple(int(n) for n in size.split("x")) for size in asked["sizes"]}
    work = {size: count * operations(seen, side) for size, (side, count) in sizes.items()}
    precision = "bf16" if native_bf16() else "f32"
    facts: dict[str, Any] = {"precision": precision, "gflop": {k: w / 1e9 for k, w in work.items()}}
    networks: dict[int, Network] = {}

    def prepare(size: str) -> Any:
        side, count = sizes[size]
        key = 0 if isinstance(seen, FastViTSpec) else side  # a transformer's positions fit one side
        if key not in networks:
            networks.clear()
            weights = tower_weights(seen, side)
            made = Network(
                lambda: (build(weights, seen), weights),
                options(precision, asked["threads"]),
                None,
                name,
            )
            networks[key] = made
        network = networks[key]
        request = network.new_request()
        pixels = np.resize(pool() % 1, (count, 3, side, side)).astype(np.float32)
        return lambda: network.run(request, {"pixel_values": pixels})

    found = timed(list(sizes), work, prepare, asked["runs"])
    return facts | found | {"peak_bytes": peak_memory()}


def tower_weights(seen: Tower, side: int) -> dict[str, InMemory]:
    """Random float32 weights of a tower's graph."""
    wanted = folded_shapes(seen) if isinstance(seen, FastViTSpec) else shapes(seen, side)
    numbers = pool()
    return {
        name: InMemory("F32", shape, np.ascontiguousarray(filled(name, shape, numbers)))
        for name, shape in wanted.items()
    }


def decoder(asked: Options) -> dict[str, Any]:
    """Prefill of each number of tokens, and seconds for each token behind `known` ones.

    int8: weights in 8 bits, as galago converts them; else the processor's 16- or 32-bit product.
    """
    told = DECODERS[asked["decoder"]]
    precision = asked["precision"]
    started = time.perf_counter()
    loaded = session(told, precision, asked["threads"])
    facts: dict[str, Any] = {"precision": precision, "load": time.perf_counter() - started}
    cache = loaded.new_cache()
    work = {size: prefill_operations(told.spec, int(size)) for size in asked["sizes"]}
    numbers = pool() * np.float32(0.02)

    def prepare(size: str) -> Any:
        embeds = np.resize(numbers, (int(size), told.spec.hidden))

        def step() -> None:
            cache.truncate(0)
            cache.append(embeds)

        return step

    found = timed(asked["sizes"], work, prepare, asked["runs"])
    cache.truncate(0)
    cache.append(np.resize(numbers, (asked["known"], told.spec.hidden)))
    one, times = np.resize(numbers, (1, told.spec.hidden)), []
    for _ in range(asked["decoded"]):
        began = time.perf_counter()
        cache.append(one)
        times.append(time.perf_counter() - began)
    return facts | found | {"samples": {"decode": times}, "peak_bytes": peak_memory()}


def session(told: Decoder, precision: str, threads: int) -> LanguageSession:
    """A decoder of random weights, ready to be fed."""
    spec = VLMSpec(
        "field", "", FASTVITHD, told.spec, ImageSpec(256), (), (), PromptSpec()
    )  # of which the decoder's session reads the text alone
    plan = resolve_precision(precision, spec, native_bf16=native_bf16())
    return LanguageSession(random_decoder(told, precision), spec, plan, threads=threads)


def random_decoder(told: Decoder, precision: str) -> dict[str, InMemory]:
    """Random weights in the form that the graph reads; of the embedding table a few rows."""
    numbers = pool()
    weights: dict[str, InMemory] = {}
    wanted = {n: s for n, s in text_shapes(told.spec).items() if _used(n, told)}
    wanted |= {HEAD: (told.spec.vocab, told.spec.hidden), EMBEDDING: (8, told.spec.hidden)}
    for name, shape in wanted.items():
        weights |= held(name, shape, precision, numbers)
    return weights


def _used(name: str, told: Decoder) -> bool:
    return told.kind == "qwen2" or not name.endswith("proj.bias")


def held(name: str, shape: tuple[int, ...], precision: str, numbers: Float) -> dict[str, InMemory]:
    """A tensor as it is kept: matrices in the precision, norms and biases in float32."""
    if len(shape) < 2:
        return {name: InMemory("F32", shape, filled(name, shape, numbers))}
    if precision == "int8" and name != EMBEDDING:
        rows = np.resize((numbers * 30).clip(-127, 127).astype(np.int8), shape)
        scale = np.full((shape[0], 1), math.prod(shape[1:]) ** -0.5 / 30, np.float32)
        return {
            name: InMemory("I8", shape, rows),
            f"{name}.scale": InMemory("F32", scale.shape, scale),
        }
    if precision == "fp32":
        return {name: InMemory("F32", shape, filled(name, shape, numbers))}
    narrow = to_bf16(numbers * np.float32(math.prod(shape[1:]) ** -0.5))
    return {name: InMemory("BF16", shape, np.resize(narrow, shape))}
