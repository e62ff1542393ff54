"""One row of the benchmark, in a process of its own; prints one JSON line.

`python -m benchmarks.one galago|transformers PRECISION FOLDER THREADS`
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.shared import peak_memory

TEXT_TOKENS = 29  # with the 256 of the picture: 285
DECODED = 32
REPEATS = 3
SIDE = 1024


def run_galago(precision: str, folder: Path, threads: int) -> list[dict[str, float]]:
    """Vision, prefill of 285 embeddings and 32 greedy steps through galago's sessions."""
    from galago import compile as engine

    sessions = engine.load_sessions(folder, precision, threads=threads)
    pixels = picture()[None]
    ids = np.arange(3, 3 + TEXT_TOKENS)
    runs = []
    for _ in range(REPEATS + 1):
        cache = sessions.language.new_cache()
        start = time.perf_counter()
        features = sessions.vision.encode(pixels)[0]
        seen = time.perf_counter()
        embeds = np.concatenate([features, sessions.language.embed(ids)])
        logits = cache.append(embeds)
        first = time.perf_counter()
        for _ in range(DECODED):
            logits = cache.append(sessions.language.embed(np.array([int(logits.argmax())])))
        runs.append(timed(start, seen, first, time.perf_counter()))
    return runs


def run_transformers(precision: str, folder: Path, threads: int) -> list[dict[str, float]]:
    """The same through transformers' FastVLM with fresh weights of the same shape."""
    import torch
    from transformers import FastVlmConfig, FastVlmForConditionalGeneration

    torch.set_num_threads(threads)
    published = json.loads((folder / "config.json").read_text())
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    text = {k: published[k] for k in (*keys, "num_key_value_heads", "vocab_size")}
    config = FastVlmConfig(
        text_config={"model_type": "qwen2", "tie_word_embeddings": True, **text},
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "do_pooling": True,
            "global_pool": "avg",
            "hidden_size": 3072,
            "initializer_range": 0.02,
            "model_args": {"inference_mode": True},
        },
        image_token_id=3,
    )
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    torch.set_default_dtype(dtype)
    model = FastVlmForConditionalGeneration(config).eval()
    pixels = torch.from_numpy(picture()[None]).to(dtype)
    text_ids = torch.arange(4, 4 + TEXT_TOKENS)[None]
    runs = []
    for _ in range(REPEATS + 1):
        with torch.inference_mode():
            start = time.perf_counter()
            found = model.model.get_image_features(pixels)
            features = getattr(found, "pooler_output", found)
            features = features[0] if isinstance(features, (list, tuple)) else features
            features = features.reshape(1, -1, features.shape[-1])
            seen = time.perf_counter()
            words = model.get_input_embeddings()(text_ids)
            embeds = torch.cat([features, words], 1)
            out = model.model.language_model(inputs_embeds=embeds, use_cache=True)
            logits = model.lm_head(out.last_hidden_state[:, -1])
            first = time.perf_counter()
            for _ in range(DECODED):
                step = logits.argmax(-1, keepdim=True)
                out = model.model.language_model(
                    input_ids=step, past_key_values=out.past_key_values, use_cache=True
                )
                logits = model.lm_head(out.last_hidden_state[:, -1])
            runs.append(timed(start, seen, first, time.perf_counter()))
    assert features.shape[1] == 256, features.shape
    return runs


def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((3, SIDE, SIDE), dtype=np.float32)


def timed(start: float, seen: float, first: float, end: float) -> dict[str, float]:
    return {
        "vision": seen - start,
        "prefill": first - seen,
        "first_token": first - start,
        "tokens_per_second": DECODED / (end - first),
    }


def main() -> None:
    engine, precision, folder, threads = sys.argv[1:]
    os.environ["OMP_NUM_THREADS"] = threads
    run = {"galago": run_galago, "transformers": run_transformers}[engine]
    runs = run(precision, Path(folder), int(threads))[1:]  # the first warms up
    result = {key: statistics.median(r[key] for r in runs) for key in runs[0]}
    result["peak_memory"] = peak_memory()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
