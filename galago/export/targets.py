"""What `galago export --to` may be: one row a target, and what a new one has to bring.

A target is loaded when it is asked for, so that the package that it needs is missed only then.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from galago.errors import MissingExtraError, OptionError
from galago.hub.resolve import ResolvedModel
from galago.progress import Progress

__all__ = ["TARGETS", "Figures", "Made", "Make", "Target", "Way", "dtypes_of", "target"]


class Figures(Protocol):
    """How near one dtype of an export came to its source."""

    def to_json(self) -> dict[str, Any]:
        """The figures, in one level."""
        ...


class Made(Protocol):
    """A folder that was written: its figures, and what else people should be told, a line each."""

    @property
    def folder(self) -> Path: ...
    @property
    def proofs(self) -> Sequence[Figures]: ...
    @property
    def remarks(self) -> Sequence[str]: ...


Make = Callable[[ResolvedModel, Sequence[str], Path, Progress], Made]


@dataclass(frozen=True)
class Way:
    """How a target is made. `dtypes`: of each kind of model that it takes, the names of those that
    it can have; `usual`: those that are made when none is named; `one`: a folder holds one dtype.

    `make(model, dtypes, folder, progress)` writes the folder, proves it or raises ExportError.
    """

    dtypes: Mapping[str, Sequence[str]]
    usual: Mapping[str, Sequence[str]]
    make: Make
    one: bool = False


@dataclass(frozen=True)
class Target:
    """A row: what it is for, the package that it needs with its extra, and how it is loaded."""

    about: str
    load: Callable[[], Way]
    package: str | None = None
    extra: str = "export"


def _onnx() -> Way:
    from galago.export.fastvlm import DTYPES
    from galago.export.mobileclip import CLIP_DTYPES
    from galago.export.onnx_folder import export_onnx

    return Way(
        {"fastvlm": tuple(DTYPES), "mobileclip": tuple(CLIP_DTYPES)},
        {"fastvlm": ("fp16", "q8", "q4", "q4f16"), "mobileclip": ("fp32", "fp16", "q8")},
        export_onnx,
    )


def _layout(name: Literal["transformers", "llava"]) -> Callable[[], Way]:
    def load() -> Way:
        from galago.export.layouts import STORED, export_layout

        stored = {"fastvlm": (STORED,)}
        return Way(
            stored,
            stored,
            lambda model, _, out, progress: export_layout(name, model, out, progress),
            one=True,
        )

    return load


def _mlx(form: Literal["whole", "app"]) -> Callable[[], Way]:
    def load() -> Way:
        from galago.export.mlx_folder import export_mlx
        from galago.export.mlx_weights import MLX_DTYPES

        return Way(
            {"fastvlm": tuple(MLX_DTYPES)},
            {"fastvlm": ("bf16",)},
            partial(export_mlx, form),
            one=True,
        )

    return load


def _coreml(any_trunk: bool) -> Callable[[], Way]:
    def load() -> Way:
        from galago.export.coreml_folder import CLIP_DTYPES, DTYPES, export_coreml

        kinds: dict[str, Sequence[str]] = {"fastvlm": tuple(DTYPES), "mobileclip": CLIP_DTYPES}
        usual: dict[str, Sequence[str]] = {"fastvlm": ("int8",), "mobileclip": ("fp16",)}
        return Way(kinds, usual, partial(export_coreml, any_trunk))

    return load


def _web() -> Way:
    from galago.export.web import WEB_DTYPES, export_web

    usual = {kind: (dtype,) for kind, dtype in WEB_DTYPES.items()}
    return Way(_onnx().dtypes, usual, export_web, one=True)


TARGETS = {
    "onnx": Target("for transformers.js, ONNX Runtime and OpenVINO", _onnx, "onnx"),
    "transformers": Target("the layout fast_vlm, to fine-tune", _layout("transformers")),
    "llava": Target("Apple's layout, as FastVLM was published", _layout("llava")),
    "mlx": Target("for mlx-vlm and mlx-swift-lm on Macs and iPhones", _mlx("whole")),
    "mlx-app": Target("the words of Apple's app, beside a Core ML package", _mlx("app")),
    "coreml": Target(
        "packages for Apple's app and others, on iPhones and Macs",
        _coreml(any_trunk=False),
        "coremltools",
        "coreml",
    ),
    "coreml-own": Target(
        "the same of a trunk that Apple's app can't take",
        _coreml(any_trunk=True),
        "coremltools",
        "coreml",
    ),
    "web": Target("a page without a server, whose models run in the browser", _web, "onnx"),
}


def target(name: str) -> Way:
    """The way of a target; OptionError for an unknown one, MissingExtraError without its
    package."""
    row = TARGETS.get(name)
    if row is None:
        raise OptionError(f"--to {name} is not known: use {', '.join(TARGETS)}")
    if row.package is not None and not _is_there(row.package):
        raise MissingExtraError(f"this needs the package {row.package}", row.extra)
    return row.load()


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # set aside: sys.modules has None in its place
        return False


def dtypes_of(name: str, way: Way, kind: str | None, asked: str | None) -> list[str]:
    """The dtypes that a typed list means; OptionError for what this target doesn't make of it."""
    known = way.dtypes.get(kind or "fastvlm")
    if known is None:
        kinds = {"fastvlm": "a FastVLM", "mobileclip": "a MobileCLIP"}
        takes = " or ".join(kinds.get(one, one) for one in way.dtypes)
        raise OptionError(f"--to {name} takes {takes}, not {kinds.get(str(kind), kind)}")
    if asked is None:
        return list(way.usual[kind or "fastvlm"])
    if asked.strip() == "all" and not way.one:
        return list(known)
    wanted = [one.strip() for one in asked.split(",")]
    every = "" if way.one else ", or all"
    if unknown := [one for one in wanted if one not in known]:
        choice = ", ".join(known)
        raise OptionError(f"--dtype {unknown[0]!r} is not possible: use {choice}{every}")
    if way.one and len(set(wanted)) > 1:
        raise OptionError(f"--to {name} writes one dtype a folder: name one of {', '.join(known)}")
    return list(dict.fromkeys(wanted))
