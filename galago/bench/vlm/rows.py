"""Rows of FastVLM: its embedded model, random ones of the published shapes, and their peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from galago import catalog
from galago.bench.jobs import Job, Row, Settings
from galago.bench.vlm.shapes import NANO, converted_folder, published_side, sources

__all__ = ["PACKAGES", "PRECISIONS", "rows"]

PRECISIONS = ("fp32", "bf16", "int8", "int4", "int8-int8")
PACKAGES = ("openvino", "numpy", "torch", "transformers", "timm", "onnxruntime")
_TRANSFORMERS = ("torch", "transformers", "timm")


def rows(settings: Settings) -> list[Row]:
    """In the order of measuring."""
    found = [*_nano(settings)]
    if settings.quick:
        found += _shape("small", (512,), settings)
        return [*found, *_curves("small", "int8", settings)]
    found += _shape("0.5B", (1024, 768, 512, 256), settings)
    found += [*_peers(settings), *_curves("0.5B", "int8", settings)]
    found += _commands("0.5B", "int8", settings)
    for shape, precisions in (("1.5B", ("int8", "int4")), ("7B", ("int4",))):
        found += _shape(shape, (1024,), settings, precisions)
    return found


def _asked(settings: Settings, **more: Any) -> dict[str, Any]:
    base = {"threads": settings.threads, "runs": settings.runs, "text_tokens": 30, "decoded": 32}
    return base | {"cache": str(settings.cache)} | settings.placed | more


def _nano(settings: Settings) -> Iterator[Row]:
    yield from _shape(NANO, (published_side(),), settings)
    options = _asked(settings, model=catalog.DEFAULT)  # as it is started without further words
    yield Row(f"second/{NANO}", Job("vlm.ours.second", options))
    few = options | {"runs": min(3, settings.runs)}
    yield Row(f"start/{NANO}", Job("vlm.ours.start", few))
    sizes = (1, 4, 8) if settings.quick else (1, 4, 8, 16, 32)
    few |= {"runs": 1 if settings.quick else 3, "sizes": sizes}
    yield Row(f"curve/describe/{NANO}", Job("vlm.ours.describe", few))


def _model(shape: str, precision: str, settings: Settings) -> tuple[str, tuple[Job, ...]]:
    """The folder of a random model, and what makes it."""
    folder = converted_folder(settings.cache, shape, precision)
    made = {"cache": str(settings.cache), "shape": shape, "precision": precision}
    return str(folder), (Job("vlm.shapes.build", made, scratch=sources(settings.cache)),)


def _shape(
    shape: str, sides: Sequence[int], settings: Settings, precisions: Sequence[str] = PRECISIONS
) -> Iterator[Row]:
    for side in sides:
        for precision in precisions:
            model, needs = _model(shape, precision, settings)
            options = _asked(settings, model=model, resolution=side)
            name = f"first/{shape}/galago/{precision}/{side}"
            yield Row(name, Job("vlm.ours.first", options), needs)


def _peers(settings: Settings) -> Iterator[Row]:
    for side in (1024, 512):
        for precision in ("fp32", "bf16"):
            options = _asked(settings, shape="0.5B", precision=precision, resolution=side)
            name = f"first/0.5B/transformers/{precision}/{side}"
            job = Job("vlm.peers.fastvlm", options, _TRANSFORMERS)
            yield Row(name, job, packages=_TRANSFORMERS, ours=False)
        options = _asked(settings, resolution=side)
        made = Job("vlm.peers.export_vision", options, ("onnxscript", "torch", "timm"))
        job = Job("vlm.peers.onnx_vision", options, ("onnxruntime",))
        name = f"vision/0.5B/onnxruntime/fp32/{side}"
        yield Row(name, job, (made,), ("onnxruntime", "torch", "timm"), ours=False)
    for precision in ("bf16", "fp32"):
        options = _asked(settings, shape="0.5B", precision=precision) | {"runs": 1, "decoded": 8}
        packages = ("torch", "transformers")
        job = Job("vlm.peers.llava_onevision", options, packages)
        name = f"first/0.5B/llava-onevision/{precision}"
        yield Row(name, job, packages=packages, once=True, ours=False)


def _curves(shape: str, precision: str, settings: Settings) -> Iterator[Row]:
    model, needs = _model(shape, precision, settings)
    quick = settings.quick
    sizes: dict[str, tuple[int, ...]] = {
        "resolution": (256, 512, 768) if quick else (256, 384, 512, 640, 768, 896, 1024),
        "prompt": (32, 64, 128, 256, 512, 1024, 2048)[: 5 if quick else None],
        "answer": (8, 16, 32, 64) if quick else (16, 32, 64, 128, 256),
        "requests": (1, 2, 4) if quick else (1, 2, 4, 8),
        "threads": settings.cores,
    }
    for along, points in sizes.items():
        runs = 2 if quick else 3
        options = _asked(settings, model=model, along=along, sizes=points) | {"runs": runs}
        yield Row(f"curve/{along}/{shape}", Job("vlm.ours.curve", options), needs)


def _commands(shape: str, precision: str, settings: Settings) -> Iterator[Row]:
    model, needs = _model(shape, precision, settings)
    options = _asked(settings, model=model)
    yield Row(f"second/{shape}", Job("vlm.ours.second", options), needs)
    few = options | {"runs": 3}
    yield Row(f"start/{shape}", Job("vlm.ours.start", few), needs)
    few |= {"sizes": (1, 8, 32), "runs": 1}
    yield Row(f"curve/describe/{shape}", Job("vlm.ours.describe", few), needs)
