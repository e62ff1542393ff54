"""One row of indexing: a folder of photos into vectors, in a process of its own; one JSON line.

`python -m galago.bench.clip.indexing galago|loop MODEL_FOLDER PHOTOS ALBUM SHARE THREADS`

`galago` is galago.album.index: it walks, hashes, decodes in threads, encodes, and records each
batch durably. `loop` is what people write with open_clip and PIL: open, prepare, encode in batches,
keep the rows in one array; it takes the first SHARE of the photos, as its rate does not change.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from galago.memory import peak_memory

BATCH = 16  # of both
VARIANT = "MobileCLIP2-S0"


def run_galago(model: Path, photos: Path, album: Path, threads: int) -> dict[str, Any]:
    import galago
    from galago.album import IndexOptions, index

    start = time.perf_counter()
    clip = galago.MobileCLIP.load(model, threads=threads, offline=True)
    reports: list[tuple[float, int]] = []
    texts = 0.0  # seconds for the phrases that a new album is calibrated with
    embed = clip.embed_phrases

    def heard(stage: str, done: int, total: int) -> None:
        if stage == "indexing":
            reports.append((time.perf_counter(), done))

    def embed_timed(given: Any) -> Any:
        nonlocal texts
        began = time.perf_counter()
        rows = embed(given)
        texts += time.perf_counter() - began
        return rows

    clip.embed_phrases = embed_timed  # type: ignore[method-assign]

    shutil.rmtree(album, ignore_errors=True)
    options = IndexOptions(batch=BATCH)
    summary = index(album, [photos], lambda: clip, source=str(model), options=options, report=heard)
    end = time.perf_counter()
    assert not summary.failed, summary.failed[0]
    once_more = time.perf_counter()
    index(album, [photos], lambda: clip, source=str(model), options=options)
    again = time.perf_counter() - once_more
    (began, before), (ended, done) = reports[0], reports[-1]
    steady = (done - before) / (ended - began) if done > before else 0.0
    return {
        "photos": summary.encoded,
        "seconds": end - start,
        "pictures_per_second": summary.encoded / (end - start),
        "steady_per_second": steady,
        "calibrating": texts,
        "again": again,
        "precision": clip.precision,
        "disk": sum(path.stat().st_size for path in album.iterdir()),
    }


def run_loop(model: Path, photos: Path, share: float, threads: int) -> dict[str, Any]:
    import open_clip
    import torch
    from PIL import Image

    from galago.bench.clip import models

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    dtype, layout = fastest(model)
    clip = models.load(model).to(dtype).to(memory_format=layout)
    prepare = open_clip.image_transform(
        clip.visual.image_size[0],
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bilinear",
        resize_mode="shortest",
    )
    paths = sorted(photos.rglob("*.jpg"))
    paths = paths[: max(1, round(share * len(paths)))]
    start = time.perf_counter()
    rows = []
    with torch.inference_mode():
        for first in range(0, len(paths), BATCH):
            batch = torch.stack([prepare(Image.open(p)) for p in paths[first : first + BATCH]])
            batch = batch.to(dtype).contiguous(memory_format=layout)
            rows.append(clip.encode_image(batch, normalize=True).float().numpy())
    seconds = time.perf_counter() - start
    assert len(np.concatenate(rows)) == len(paths)
    return {
        "photos": len(paths),
        "seconds": seconds,
        "pictures_per_second": len(paths) / seconds,
        "precision": {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype],
    }


def fastest(model: Path) -> tuple[Any, Any]:
    """The precision and the layout that torch is fastest in here."""
    import torch

    from galago.bench.clip import models
    from galago.bench.clip.towers import best_layout, pixels, timed

    times = {}
    for dtype in (torch.bfloat16, torch.float32):
        clip, given = models.load(model).to(dtype), torch.from_numpy(pixels(VARIANT)).to(dtype)
        layout = best_layout(clip, given)
        clip.to(memory_format=layout)
        given = given.contiguous(memory_format=layout)
        clip.encode_image(given)
        times[dtype, layout] = timed(lambda: clip.encode_image(given))  # noqa: B023
    return min(times, key=lambda key: times[key])


def main() -> None:
    engine, model, photos, album, share, threads = sys.argv[1:]
    os.environ["HF_HUB_OFFLINE"] = "1"
    if engine == "galago":
        result = run_galago(Path(model), Path(photos), Path(album), int(threads))
    else:
        result = run_loop(Path(model), Path(photos), float(share), int(threads))
    print(json.dumps(result | {"peak_memory": peak_memory()}))


if __name__ == "__main__":
    main()
