"""Peers of MobileCLIP: the same work by open_clip in PyTorch, and by ONNX Runtime.

torch's faster memory layout for convolutions is used; texts are cut into tokens by open_clip.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.bench.clip import models
from galago.bench.clip.towers import measured, pixels, timed
from galago.bench.telemetry import quiet_onnxruntime
from galago.checkpoints.tensors import Float
from galago.memory import peak_memory

__all__ = ["eager", "loop", "onnx"]

Options = Mapping[str, Any]
TRIALS = 2


def eager(options: Options) -> dict[str, Any]:
    """open_clip's own model, eager; "fp32-unfused" leaves the branches of training as they load."""
    import open_clip
    import torch

    started = time.perf_counter()
    _start_torch(options)
    folder, precision = Path(options["model"]), options["precision"]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = models.load(folder, fused=precision != "fp32-unfused").to(dtype)
    tokenize = open_clip.get_tokenizer(folder.name)
    side, layout = model.visual.image_size[0], torch.contiguous_format
    if options["convolutions"]:
        layout = _best_layout(model, torch.from_numpy(pixels(options["pictures"], side)).to(dtype))
    model = model.to(memory_format=layout)

    def images(given: Float) -> Float:
        with torch.inference_mode():
            ready = torch.from_numpy(given).to(dtype).contiguous(memory_format=layout)
            return np.asarray(model.encode_image(ready, normalize=True).float().numpy())

    def texts(given: list[str]) -> Float:
        with torch.inference_mode():
            return np.asarray(model.encode_text(tokenize(given), normalize=True).float().numpy())

    facts = {"layout": str(layout).removeprefix("torch.")}
    found = measured(images, texts, side, options, started)
    return facts | found | {"peak_bytes": peak_memory()}


def onnx(options: Options) -> dict[str, Any]:
    """The fused model as torch exports it, with ONNX Runtime's own optimisations.

    Its memory isn't told: torch is there, too, for open_clip's tokenizer.
    """
    import open_clip

    started = time.perf_counter()
    onnxruntime = quiet_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options["threads"]
    folder = Path(options["model"])
    sessions = {
        name: onnxruntime.InferenceSession(
            folder / f"{name}.onnx", settings, providers=["CPUExecutionProvider"]
        )
        for name in ("image", "text")
    }
    tokenize = open_clip.get_tokenizer(folder.name)

    def run(name: str, given: npt.NDArray[Any]) -> Float:
        session = sessions[name]
        (rows,) = session.run(None, {session.get_inputs()[0].name: given})
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    side = sessions["image"].get_inputs()[0].shape[-1]
    return measured(
        lambda given: run("image", given),
        lambda given: run("text", tokenize(given).numpy()),
        side,
        options,
        started,
    )


def loop(options: Options) -> dict[str, Any]:
    """What people write to index photos: open, prepare, encode in batches, keep the rows.

    It takes the first `share` of the photos, as its rate does not change; its time starts when the
    model is loaded.
    """
    import open_clip
    import torch
    from PIL import Image

    _start_torch(options)
    folder, at_once = Path(options["model"]), options["pictures"]
    dtype, layout = _fastest(folder, options["tried"])
    clip = models.load(folder).to(dtype).to(memory_format=layout)
    prepare = open_clip.image_transform(
        clip.visual.image_size[0],
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bilinear",
        resize_mode="shortest",
    )
    paths = sorted(Path(options["photos"]).rglob("*.jpg"))
    paths = paths[: max(1, round(options["share"] * len(paths)))]
    rows = []
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(paths), at_once):
            batch = torch.stack([prepare(Image.open(p)) for p in paths[first : first + at_once]])
            batch = batch.to(dtype).contiguous(memory_format=layout)
            rows.append(clip.encode_image(batch, normalize=True).float().numpy())
    seconds = time.perf_counter() - start
    photos = len(np.concatenate(rows))
    precision = "fp32" if dtype is torch.float32 else "bf16"
    facts = {"photos": photos, "precision": precision, "peak_bytes": peak_memory()}
    return facts | {
        "samples": {"seconds": [seconds], "pictures_per_second": [photos / seconds]},
    }


def _start_torch(options: Options) -> None:
    import torch

    torch.set_num_threads(options["threads"])
    torch.set_grad_enabled(False)


def _fastest(folder: Path, count: int) -> tuple[Any, Any]:
    """The precision and the layout that torch is fastest in here, with `count` pictures at once."""
    import torch

    times = {}
    for dtype in (torch.bfloat16, torch.float32):
        clip = models.load(folder).to(dtype)
        given = torch.from_numpy(pixels(count, clip.visual.image_size[0])).to(dtype)
        layout = _best_layout(clip, given)
        clip.to(memory_format=layout)
        times[dtype, layout] = _warm(clip, given.contiguous(memory_format=layout))
    return min(times, key=lambda key: times[key])


def _best_layout(model: Any, given: Any) -> Any:
    """Channels-last where it is faster."""
    import torch

    times = {}
    for layout in (torch.channels_last, torch.contiguous_format):
        model.to(memory_format=layout)
        times[layout] = _warm(model, given.contiguous(memory_format=layout))
    return min(times, key=lambda layout: times[layout])


def _warm(model: Any, given: Any) -> float:
    """Seconds of the image tower on a batch, the better of two behind one that warms up."""
    import torch

    def step() -> Any:
        return model.encode_image(given)

    with torch.inference_mode():
        step()
        return min(timed(step) for _ in range(TRIALS))
