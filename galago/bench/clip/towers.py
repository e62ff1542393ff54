"""One row of the towers: pictures and texts a second of one variant in one engine.

`python -m galago.bench.clip.towers VARIANT ENGINE PRECISION FOLDER THREADS SECONDS CLOCK`, one JSON
line. Texts are timed from strings on, pictures from pixel values on; both end in unit vectors.
CLOCK is "wall", or "cpu": the processor's time, which other programs hardly lengthen.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from galago.bench.clip.rows import BATCH, TEXTS, VITS
from galago.memory import peak_memory

LEAST = 3  # timed steps, however long one takes
TRIALS = 2
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Embed = Callable[[Any], np.ndarray]


def run_galago(variant: str, precision: str, folder: Path, threads: int) -> tuple[Embed, Embed]:
    import galago

    clip = galago.MobileCLIP.load(folder, precision=precision, threads=threads, offline=True)
    return clip.embed_pixels, clip.embed_texts


def run_torch(variant: str, precision: str, folder: Path, threads: int) -> tuple[Embed, Embed]:
    """open_clip's own model, eager; "fp32-unfused" leaves the branches of training as they load."""
    import open_clip
    import torch

    from galago.bench.clip.models import load

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = load(folder, fused=precision != "fp32-unfused").to(dtype)
    tokenize = open_clip.get_tokenizer(variant)
    layout = torch.contiguous_format
    if variant not in VITS:  # whose work is in matrices
        layout = best_layout(model, torch.from_numpy(pixels(variant)).to(dtype))
    model = model.to(memory_format=layout)

    @torch.inference_mode()
    def images(given: np.ndarray) -> np.ndarray:
        ready = torch.from_numpy(given).to(dtype).contiguous(memory_format=layout)
        return np.asarray(model.encode_image(ready, normalize=True).float().numpy())

    @torch.inference_mode()
    def texts(given: list[str]) -> np.ndarray:
        return np.asarray(model.encode_text(tokenize(given), normalize=True).float().numpy())

    images.note = str(layout).removeprefix("torch.")  # type: ignore[attr-defined]
    return images, texts


def best_layout(model: Any, given: Any) -> Any:
    """Channels-last where it is faster."""
    import torch

    times = {}
    for layout in (torch.channels_last, torch.contiguous_format):
        model.to(memory_format=layout)
        ready = given.contiguous(memory_format=layout)
        with torch.inference_mode():
            model.encode_image(ready)
            times[layout] = min(timed(lambda: model.encode_image(ready)) for _ in range(TRIALS))  # noqa: B023
    return min(times, key=lambda layout: times[layout])


def run_onnxruntime(
    variant: str, precision: str, folder: Path, threads: int
) -> tuple[Embed, Embed]:
    """The fused model as torch exports it, with ONNX Runtime's own optimisations."""
    import onnxruntime
    import open_clip

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {
        name: onnxruntime.InferenceSession(
            folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
        )
        for name in ("image", "text")
    }
    tokenize = open_clip.get_tokenizer(variant)

    def run(name: str, given: np.ndarray) -> np.ndarray:
        session = sessions[name]
        (rows,) = session.run(None, {session.get_inputs()[0].name: given})
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    return (
        lambda given: run("image", given),
        lambda given: run("text", tokenize(given).numpy()),
    )


def pixels(variant: str) -> np.ndarray:
    """(B, 3, side, side) of what a photo's values are like."""
    side = 224 if variant in VITS else 256
    rng = np.random.default_rng(0)
    coarse = rng.random((BATCH[variant], 3, side // 8, side // 8), dtype=np.float32)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def words() -> list[str]:
    """Queries such as people type, each another one."""
    things = ("a dog", "two children", "an old red car", "my passport", "a birthday cake")
    places = ("on a beach", "in the snow", "at night in Lisbon", "beside a lake in autumn")
    return [f"{thing} {place}" for place in places for thing in things][:TEXTS]


def timed(step: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    step()
    return clock() - start


def rate(
    step: Callable[[], object], count: int, seconds: float, clock: Callable[[], float]
) -> float:
    """How many of `count` a step are done in a second; the first step warms up."""
    step()
    times: list[float] = []
    while len(times) < LEAST or sum(times) < seconds:
        times.append(timed(step, clock))
    return count / statistics.median(times)


def main() -> None:
    variant, engine, precision, folder, threads, seconds, named = sys.argv[1:]
    clock = CLOCKS[named]
    os.environ["OMP_NUM_THREADS"] = threads
    run = {"galago": run_galago, "torch": run_torch, "onnxruntime": run_onnxruntime}[engine]
    start = time.perf_counter()
    images, texts = run(variant, precision, Path(folder), int(threads))
    given, said = pixels(variant), words()
    result: dict[str, Any] = {}
    for rows in (images(given), texts(said)):
        spread = np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1).max()
        assert spread < 0.02, f"no unit vectors: {spread}"
    result["start"] = time.perf_counter() - start
    result["images_per_second"] = rate(lambda: images(given), len(given), float(seconds), clock)
    result["texts_per_second"] = rate(lambda: texts(said), len(said), float(seconds), clock)
    if engine != "onnxruntime":  # torch is there, too, for open_clip's tokenizer
        result["peak_memory"] = peak_memory()
    result["layout"] = getattr(images, "note", "")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
