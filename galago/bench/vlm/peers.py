"""Rows of peers: the same work in PyTorch (transformers) and ONNX Runtime, on random weights.

Each starts from ready pixel values and token ids, so nobody pays for opening files; the faster
memory layout of the two that torch has for convolutions is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galago.bench.telemetry import quiet_onnxruntime
from galago.bench.vlm.cost import (
    decoder_weights,
    prefill_operations,
    siglip_operations,
    vision_operations,
)
from galago.bench.vlm.shapes import SHAPES, text_config
from galago.memory import peak_memory, resident
from galago.specs import FASTVITHD

__all__ = ["export_vision", "fastvlm", "llava_onevision", "onnx_vision"]

Options = Mapping[str, Any]
CROPS, CROP_SIDE, PATCH = 10, 384, 14
# SigLIP-SO400M as LLaVA-OneVision uses it: without its last layer and its head.
SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26,
          "num_attention_heads": 16}  # fmt: skip
_IMAGE_TOKEN = 3


def _text(shape: str) -> dict[str, Any]:
    """transformers' configuration of a decoder."""
    return {"model_type": "qwen2"} | text_config(SHAPES[shape].text)


def _made(config: Any, kind: Any, options: Options) -> Any:
    """A model of transformers with its own random start."""
    import torch

    torch.set_num_threads(options["threads"])
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options["precision"]]
    torch.set_default_dtype(dtype)
    return kind(config).eval()


def fastvlm(options: Options) -> dict[str, Any]:
    """transformers' FastVLM: vision with projector, prefill, decode."""
    import torch
    from transformers import FastVlmConfig, FastVlmForConditionalGeneration

    config = FastVlmConfig(
        text_config=_text(options["shape"]),
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "do_pooling": True,
            "global_pool": "avg",
            "hidden_size": 3072,
            "initializer_range": 0.02,
            "model_args": {"inference_mode": True},
        },
        image_token_id=_IMAGE_TOKEN,
    )
    started = time.perf_counter()
    model = _made(config, FastVlmForConditionalGeneration, options)
    facts: dict[str, Any] = {"load": time.perf_counter() - started, "loaded_bytes": resident()}
    side = options["resolution"]
    pixels = torch.rand(1, 3, side, side)

    def look() -> Any:
        found = model.model.get_image_features(pixels)
        found = getattr(found, "pooler_output", found)
        found = found[0] if isinstance(found, (list, tuple)) else found
        return found.reshape(1, -1, found.shape[-1])

    times = {}
    for layout in (torch.channels_last, torch.contiguous_format):
        model.model.vision_tower.to(memory_format=layout)
        pixels = pixels.contiguous(memory_format=layout)
        look()
        times[layout] = _timed(look)
    best = min(times, key=lambda layout: times[layout])
    model.model.vision_tower.to(memory_format=best)
    pixels = pixels.contiguous(memory_format=best)
    facts["layout"] = str(best).removeprefix("torch.")
    facts["vision_gflop"] = vision_operations(FASTVITHD, side) / 1e9
    return facts | _ask(model, look, options)


def llava_onevision(options: Options) -> dict[str, Any]:
    """LLaVA-OneVision-0.5B's shape: ten crops, 7,290 visual tokens, none of them pooled."""
    import torch
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

    config = LlavaOnevisionConfig(
        text_config=_text(options["shape"]),
        vision_config=SIGLIP
        | {
            "model_type": "siglip_vision_model",
            "image_size": CROP_SIDE,
            "patch_size": PATCH,
            "vision_use_head": False,
        },
        image_token_id=_IMAGE_TOKEN,
    )
    started = time.perf_counter()
    model = _made(config, LlavaOnevisionForConditionalGeneration, options)
    facts: dict[str, Any] = {"load": time.perf_counter() - started, "loaded_bytes": resident()}
    crops = options.get("crops", CROPS)
    size = {"width": SIGLIP["hidden_size"], "hidden": SIGLIP["intermediate_size"]}
    work = siglip_operations(
        crops, **size, layers=SIGLIP["num_hidden_layers"], side=CROP_SIDE, patch=PATCH
    )
    facts["vision_gflop"] = work / 1e9
    pixels = torch.rand(crops, 3, CROP_SIDE, CROP_SIDE)

    def look() -> Any:
        seen = model.model.vision_tower(pixels).last_hidden_state
        found = model.model.multi_modal_projector(seen)
        return found.reshape(1, -1, found.shape[-1])

    model.model.vision_tower(pixels[:1])  # warms up; the whole takes a minute or two
    return facts | _ask(model, look, options, warm=False)


def _ask(
    model: Any, look: Callable[[], Any], options: Options, *, warm: bool = True
) -> dict[str, Any]:
    """Look, read the prompt, answer, as often as asked."""
    import torch

    names = ("vision", "prefill", "first_token", "first_decode", "tokens_per_second")
    samples: dict[str, list[float]] = {name: [] for name in names}
    text = torch.arange(4, 4 + options["text_tokens"])[None]
    language, fed, image = model.model.language_model, 0, 0
    for turn in range(options["runs"] + warm):
        started = time.perf_counter()
        features = look()
        seen = time.perf_counter()
        embeds = torch.cat([features, model.get_input_embeddings()(text)], 1)
        fed, image = embeds.shape[1], features.shape[1]
        out = language(inputs_embeds=embeds, use_cache=True)
        logits = model.lm_head(out.last_hidden_state[:, -1])
        times = [time.perf_counter()]
        for _ in range(options["decoded"]):
            step = logits.argmax(-1, keepdim=True)
            out = language(input_ids=step, past_key_values=out.past_key_values, use_cache=True)
            logits = model.lm_head(out.last_hidden_state[:, -1])
            times.append(time.perf_counter())
        if turn >= warm:
            rate = options["decoded"] / (times[-1] - times[0])
            took = (seen - started, times[0] - seen, times[0] - started, times[1] - times[0], rate)
            for name, value in zip(names, took, strict=True):
                samples[name].append(value)
    facts: dict[str, Any] = {"fed_tokens": fed, "image_tokens": image, "known_tokens": 0}
    facts["precision"] = options["precision"]
    text_spec, wide = SHAPES[options["shape"]].text, 4 if options["precision"] == "fp32" else 2
    facts["prefill_gflop"] = prefill_operations(text_spec, fed) / 1e9
    facts["token_bytes"] = wide * decoder_weights(text_spec)
    return facts | {"peak_bytes": peak_memory(), "samples": samples}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def export_vision(options: Options) -> dict[str, Any]:
    """FastViTHD with random weights as an ONNX graph: the preparation of `onnx_vision`."""
    import timm
    import torch

    path = _onnx(options)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        trunk = timm.create_model("fastvit_mci3", num_classes=0, global_pool="")
        from timm.utils import reparameterize_model

        trunk = reparameterize_model(trunk.eval(), inplace=True)
        side = options["resolution"]
        given = (torch.rand(1, 3, side, side),)
        part = path.with_suffix(".part.onnx")
        with torch.no_grad():
            torch.onnx.export(trunk, given, part, dynamo=True, verbose=False, external_data=False)
        part.rename(path)
    return {}


def _onnx(options: Options) -> Path:
    return Path(options["cache"]) / "onnx" / f"fastvithd-{options['resolution']}.onnx"


def onnx_vision(options: Options) -> dict[str, Any]:
    """The trunk without a projector in ONNX Runtime, float32, with its own optimisations."""
    onnxruntime = quiet_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options["threads"]
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(
        str(_onnx(options)), settings, providers=["CPUExecutionProvider"]
    )
    facts: dict[str, Any] = {"load": time.perf_counter() - started, "loaded_bytes": resident()}
    side = options["resolution"]
    pixels = np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32)
    given = {session.get_inputs()[0].name: pixels}
    session.run(None, given)
    seconds = [_timed(lambda: session.run(None, given)) for _ in range(options["runs"])]
    return facts | {"peak_bytes": peak_memory(), "samples": {"vision": seconds}}
