"""What is measured: every row by name, with the work behind it and what has to be made first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago import catalog
from galago.bench.vlm.shapes import NANO, converted_folder, published_side

__all__ = ["PRECISIONS", "Job", "Row", "Settings", "chosen", "rows"]

PRECISIONS = ("fp32", "bf16", "int8", "int4", "int8-int8")
_ENGINE = ("openvino", "numpy")
_TORCH = ("torch", "transformers", "timm")


@dataclass(frozen=True)
class Job:
    """A function of galago.bench by name ("ours.first"), and its options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Row:
    """One line of the results: `packages` are those whose versions matter; `once`: no rounds."""

    name: str
    job: Job
    needs: tuple[Job, ...] = ()
    packages: tuple[str, ...] = _ENGINE
    once: bool = False

    @property
    def ours(self) -> bool:
        return self.job.kind.startswith("ours.")


@dataclass(frozen=True)
class Settings:
    """How much is measured, and where things are kept."""

    cache: Path
    threads: int
    runs: int = 5
    quick: bool = False

    @property
    def cores(self) -> tuple[int, ...]:
        """Numbers of threads: powers of two up to the cores."""
        most = max(self.threads, os.cpu_count() or 1)
        return tuple(sorted({*(1 << n for n in range(10) if 1 << n <= most), most}))


def rows(settings: Settings) -> list[Row]:
    """Every row of a run, in the order of measuring."""
    found = [*_machine(settings), *_nano(settings)]
    if settings.quick:
        found += _shape("small", (512,), settings)
        return [*found, *_curves("small", "int8", settings)]
    found += _shape("0.5B", (1024, 768, 512, 256), settings)
    found += [*_peers(settings), *_curves("0.5B", "int8", settings)]
    found += _commands("0.5B", "int8", settings)
    for shape, precisions in (("1.5B", ("int8", "int4")), ("7B", ("int4",))):
        found += _shape(shape, (1024,), settings, precisions)
    return found


def chosen(every: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """Rows whose names begin with one of `wanted`; all when nothing is wanted."""
    return [row for row in every if not wanted or row.name.startswith(tuple(wanted))]


def _machine(settings: Settings) -> Iterator[Row]:
    base = {"threads": settings.threads, "runs": 12}
    for precision in ("fp32", "bf16", "int8"):
        job = Job("roofline.product", base | {"precision": precision})
        yield Row(f"roofline/{precision}", job)
    yield Row("roofline/read", Job("roofline.read", base))


def _asked(settings: Settings, **more: Any) -> dict[str, Any]:
    base = {"threads": settings.threads, "runs": settings.runs, "text_tokens": 30, "decoded": 32}
    return base | {"cache": str(settings.cache)} | more


def _nano(settings: Settings) -> Iterator[Row]:
    yield from _shape(NANO, (published_side(),), settings)
    options = _asked(settings, model=catalog.DEFAULT)  # as it is started without further words
    yield Row(f"second/{NANO}", Job("ours.second", options))
    few = options | {"runs": min(3, settings.runs)}
    yield Row(f"start/{NANO}", Job("ours.start", few))
    sizes = (1, 4, 8) if settings.quick else (1, 4, 8, 16, 32)
    few |= {"runs": 1 if settings.quick else 3, "sizes": sizes}
    yield Row(f"curve/describe/{NANO}", Job("ours.describe", few))


def _model(shape: str, precision: str, settings: Settings) -> tuple[str, tuple[Job, ...]]:
    """The folder of a random model, and what makes it."""
    folder = converted_folder(settings.cache, shape, precision)
    made = {"cache": str(settings.cache), "shape": shape, "precision": precision}
    return str(folder), (Job("shapes.build", made),)


def _shape(
    shape: str, sides: Sequence[int], settings: Settings, precisions: Sequence[str] = PRECISIONS
) -> Iterator[Row]:
    for side in sides:
        for precision in precisions:
            model, needs = _model(shape, precision, settings)
            options = _asked(settings, model=model, resolution=side)
            name = f"first/{shape}/galago/{precision}/{side}"
            yield Row(name, Job("ours.first", options), needs)


def _peers(settings: Settings) -> Iterator[Row]:
    for side in (1024, 512):
        for precision in ("fp32", "bf16"):
            options = _asked(settings, shape="0.5B", precision=precision, resolution=side)
            name = f"first/0.5B/transformers/{precision}/{side}"
            yield Row(name, Job("peers.fastvlm", options), packages=_TORCH)
        options = _asked(settings, resolution=side)
        made = (Job("peers.export_vision", options),)
        job = Job("peers.onnx_vision", options)
        packages = ("onnxruntime", "torch", "timm")
        yield Row(f"vision/0.5B/onnxruntime/fp32/{side}", job, made, packages)
    for precision in ("bf16", "fp32"):
        options = _asked(settings, shape="0.5B", precision=precision) | {"runs": 1, "decoded": 8}
        job = Job("peers.llava_onevision", options)
        name = f"first/0.5B/llava-onevision/{precision}"
        yield Row(name, job, packages=("torch", "transformers"), once=True)


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
        yield Row(f"curve/{along}/{shape}", Job("ours.curve", options), needs)


def _commands(shape: str, precision: str, settings: Settings) -> Iterator[Row]:
    model, needs = _model(shape, precision, settings)
    options = _asked(settings, model=model)
    yield Row(f"second/{shape}", Job("ours.second", options), needs)
    few = options | {"runs": 3}
    yield Row(f"start/{shape}", Job("ours.start", few), needs)
    few |= {"sizes": (1, 8, 32), "runs": 1}
    yield Row(f"curve/describe/{shape}", Job("ours.describe", few), needs)
