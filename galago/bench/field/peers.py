"""Parts in PyTorch: timm's towers and transformers' decoders, of the same shapes.

The faster of float32 and bf16, and of the two memory layouts, is found at a tower's smallest side,
or a prompt of FastVLM's length, and kept; float32 isn't tried where its weights alone would take
more than 4 GB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from galago.bench.field.models import DECODERS, TOWERS, Decoder
from galago.bench.field.modules import decoder_model, tower_model, with_values
from galago.bench.field.timing import timed
from galago.bench.field.towers import ConvNeXt, operations
from galago.bench.vlm.cost import decoder_weights, prefill_operations
from galago.memory import peak_memory
from galago.specs import FastViTSpec

__all__ = ["decoder", "tower"]

Options = Mapping[str, Any]
_WIDE = 8 << 30  # bytes of float32 weights up to which float32 is tried


def tower(asked: Options) -> dict[str, Any]:
    """As galago.bench.field.ours.tower."""
    import torch

    _start(asked)
    seen, _ = TOWERS[asked["tower"]]
    sizes = {size: tuple(int(n) for n in size.split("x")) for size in asked["sizes"]}
    work = {size: count * operations(seen, side) for size, (side, count) in sizes.items()}
    made: dict[Any, Any] = {}
    chosen: list[tuple[Any, Any]] = []

    def step(size: str, dtype: Any, layout: Any) -> Callable[[], object]:
        side, count = (int(n) for n in size.split("x"))
        key = 0 if isinstance(seen, (FastViTSpec, ConvNeXt)) else side
        if (key, dtype) not in made:
            made.clear()
            made[key, dtype] = with_values(tower_model(seen, side), dtype)
        model = made[key, dtype].to(memory_format=layout)
        pixels = torch.rand(count, 3, side, side).to(dtype).contiguous(memory_format=layout)
        return lambda: model(pixels)

    def prepare(size: str) -> Callable[[], object]:
        if not chosen:
            layouts = (torch.channels_last, torch.contiguous_format)
            formats = (torch.bfloat16, torch.float32)
            one_picture = f"{size.split('x')[0]}x1"
            tried = _pairs(formats, layouts)
            chosen.append(_best(lambda one: step(one_picture, *one), tried))
        return step(size, *chosen[0])

    found = timed(list(sizes), work, prepare, asked["runs"])
    dtype, layout = chosen[0] if chosen else ("", "")
    facts = {"precision": _word(dtype), "layout": _word(layout)}
    gflop = {size: one / 1e9 for size, one in work.items()}
    return facts | found | {"gflop": gflop, "peak_bytes": peak_memory()}


def decoder(asked: Options) -> dict[str, Any]:
    """As galago.bench.field.ours.decoder."""
    import torch

    _start(asked)
    told = DECODERS[asked["decoder"]]
    work = {size: prefill_operations(told.spec, int(size)) for size in asked["sizes"]}
    formats = [torch.bfloat16]
    if 4 * decoder_weights(told.spec) < _WIDE:
        formats.append(torch.float32)
    made: dict[Any, Any] = {}
    chosen: list[Any] = []

    def step(size: str, dtype: Any) -> Callable[[], object]:
        if dtype not in made:
            made.clear()
            made[dtype] = with_values(decoder_model(told), dtype)
        return lambda: _read(made[dtype], int(size), told, dtype)

    def prepare(size: str) -> Callable[[], object]:
        if not chosen:
            tried = str(asked["known"])  # a prompt of few tokens would be judged by its loading
            found = formats[0] if len(formats) == 1 else _best(lambda f: step(tried, f), formats)
            chosen.append(found)
        return step(size, chosen[0])

    found = timed(asked["sizes"], work, prepare, asked["runs"])
    dtype = chosen[0] if chosen else formats[0]
    step(asked["sizes"][0], dtype)
    times = _decoded(made[dtype], told, dtype, asked)
    facts = {"precision": _word(dtype), "samples": {"decode": times}}
    return facts | found | {"peak_bytes": peak_memory()}


def _read(model: Any, count: int, told: Decoder, dtype: Any) -> Any:
    """Logits of the last of `count` positions, and the cache behind them."""
    import torch

    embeds = torch.full((1, count, told.spec.hidden), 0.02, dtype=dtype)
    return model(inputs_embeds=embeds, use_cache=True, logits_to_keep=1)


def _decoded(model: Any, told: Decoder, dtype: Any, asked: Options) -> list[float]:
    out = _read(model, asked["known"], told, dtype)
    times = []
    for _ in range(asked["decoded"]):
        began = time.perf_counter()
        chosen = out.logits[:, -1].argmax(-1, keepdim=True)
        out = model(input_ids=chosen, past_key_values=out.past_key_values, use_cache=True)
        times.append(time.perf_counter() - began)
    return times


def _start(asked: Options) -> None:
    import torch

    torch.set_num_threads(asked["threads"])
    torch.set_grad_enabled(False)
    torch.manual_seed(0)


def _pairs(left: Any, right: Any) -> list[tuple[Any, Any]]:
    return [(one, other) for one in left for other in right]


def _best(step: Callable[[Any], Callable[[], object]], choices: Any) -> Any:
    """The choice whose step takes least, behind one that warms up."""
    times = {}
    for one in choices:
        run = step(one)
        run()
        began = time.perf_counter()
        run()
        times[one] = time.perf_counter() - began
    return min(times, key=lambda one: times[one])


def _word(thing: Any) -> str:
    return str(thing).removeprefix("torch.")
