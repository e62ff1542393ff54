"""`galago export --to web`: the page of `galago serve` as a folder whose models run in the browser.

The built page lies in `galago/export/page` (from page/, by `npm run web`). ONNX Runtime's files are
too large for the wheel: they are taken from npm's package onnxruntime-web.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galago import catalog
from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.doubt import DOUBT
from galago.checkpoints.vlm import open_checkpoint
from galago.disk import optional_json, refusals
from galago.errors import OptionError
from galago.export.onnx_folder import Made, export_onnx
from galago.export.work import NOTES, begun_by, check_target
from galago.hub.resolve import ResolvedModel
from galago.places import slug
from galago.progress import Progress, silent
from galago.specs import ImageSpec
from galago.text.presets import PRESETS
from galago.text.tongues import TONGUES
from galago.version import __version__

__all__ = ["PAGE", "RUNTIME", "RUNTIME_FILES", "WebModel", "WebSite", "export_web", "find_runtime"]

PAGE = Path(__file__).parent / "page"
RUNTIME = "1.30.0"  # of onnxruntime-web: the version that the page is built with
# Plain, and with WebGPU; a browser fetches one of the two.
RUNTIME_FILES = tuple(
    f"ort-wasm-simd-threaded{kind}.{end}" for kind in ("", ".asyncify") for end in ("mjs", "wasm")
)
_CHECKOUT = Path(__file__).parents[2] / "page"
_BESIDE = {NOTES, "README.md"}  # in a model's folder, but not for the page


@dataclass(frozen=True)
class WebModel:
    """A model of the page, and how its weights are stored."""

    model: ResolvedModel
    dtype: str

    @property
    def id(self) -> str:
        """What the page calls it: of a folder its name alone, as its path is nobody's business."""
        known = self.model.row is not None or self.model.remote
        return self.model.name if known else self.model.folder.name


@dataclass(frozen=True)
class WebSite:
    """A page that was written: its models' proofs in order, and how many bytes it holds."""

    folder: Path
    made: tuple[Made, ...]
    bytes: int


def find_runtime(named: Path | None) -> Path:
    """The folder with ONNX Runtime's files: the one that was named, or a checkout's own.

    Raises OptionError, saying how to get them, where they are missing or of another version.
    """
    package = _CHECKOUT / "node_modules" / "onnxruntime-web" if named is None else named
    folder = package / "dist" if (package / "dist").is_dir() else package
    how = (
        f"fetch them by `npm pack onnxruntime-web@{RUNTIME}`, unpack what comes, and name its "
        "folder: --runtime package"
    )
    if missing := [name for name in RUNTIME_FILES if not (folder / name).is_file()]:
        where = "are needed" if named is None else f"aren't all in {named} ({missing[0]} is missing)"
        raise OptionError(f"the files of onnxruntime-web {where}: {how}")
    version = (optional_json(folder.parent / "package.json") or {}).get("version", RUNTIME)
    if version != RUNTIME:
        raise OptionError(f"{folder} is of version {version}, the page needs {RUNTIME}: {how}")
    return folder


def export_web(
    models: Sequence[WebModel], out: Path, runtime: Path, progress: Progress = silent
) -> WebSite:
    """Write a folder for any web server: the page, `models` (proved, as by `export_onnx`) and the
    runtime. The first FastVLM among them answers questions.

    Made beside its place, where a stopped one is continued. Raises OptionError for a folder that is
    there, two models of one name, or none that answers; what `export_onnx` raises.
    """
    names = [one.id for one in models]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"{doubled} is named twice: a page has each model once")
    answering = [one.id for one in models if one.model.kind != "mobileclip"]
    if not answering:
        raise OptionError("no model of these answers questions: add a FastVLM, --with fastvlm-nano")
    check_target(out)
    work = out.with_name(f".{out.name}.galago-web")
    with refusals(
        full=f"the disk that holds {out.parent} is full: make room and run the same command again; "
        "what was written is kept",
        other=lambda error: f"{out} can't be written ({error.strerror or error})",
    ):
        made = [_export(one, work / "models" / slug(one.id), progress) for one in models]
        shutil.copytree(PAGE, work, dirs_exist_ok=True)
        (work / "runtime").mkdir(exist_ok=True)
        for name in RUNTIME_FILES:
            shutil.copyfile(runtime / name, work / "runtime" / name)
        site = {
            "version": __version__,
            "default": answering[0],
            "models": [_described(one, work) for one in models],
            "languages": [
                {"name": one.name, "code": one.code, "called": list(one.called)} for one in TONGUES
            ],
            "runtime": {
                "folder": "runtime/",
                "version": RUNTIME,
                "files": _files(work / "runtime"),
            },
        }
        text = json.dumps(site, ensure_ascii=False, indent=1)
        (work / "site.json").write_text(f"{text}\n", encoding="utf-8")
        if out.is_dir():
            out.rmdir()  # check_target has seen that it is empty
        work.replace(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return WebSite(out, tuple(made), size)


def _export(one: WebModel, folder: Path, progress: Progress) -> Made:
    """The model's folder, unless a stopped export has left it there whole."""
    notes = optional_json(folder / NOTES) or {}
    if notes.get("begun") == begun_by(one.model) and _dtypes(notes) == [one.dtype]:
        return Made(folder, (), None, None, 0.0)
    shutil.rmtree(folder, ignore_errors=True)
    made = export_onnx(one.model, [one.dtype], folder, progress)
    if (one.model.folder / DOUBT).is_file():
        shutil.copyfile(one.model.folder / DOUBT, folder / DOUBT)
    return made


def _dtypes(notes: dict[str, Any]) -> list[str]:
    return [str(proof.get("dtype")) for proof in notes.get("proofs", [])]


def _described(one: WebModel, work: Path) -> dict[str, Any]:
    """A model as page/src/local/site.ts has it."""
    model, kind = one.model, one.model.kind or "fastvlm"
    row = model.row
    demo = row is not None and row.embedded
    clip = kind == "mobileclip"
    open_one = open_clip_checkpoint if clip else open_checkpoint
    cannot = catalog.cannot(model.name)
    presets = [
        {"id": name, "prompt": prompt, "possible": name not in cannot}
        for name, prompt in PRESETS.items()
    ]
    folder = f"models/{slug(one.id)}"
    return {
        "id": one.id,
        "kind": kind,
        "demo": demo,
        "knows": row.knows if row and demo else "",
        "licence": row.licence.line if row else "that of the model it is made of",
        "folder": f"{folder}/",
        "dtype": one.dtype,
        "image": _image(open_one(model.folder).spec.image),
        "presets": [] if clip else presets,
        "files": _files(work / folder),
    }


def _image(spec: ImageSpec) -> dict[str, Any]:
    kept = ("side", "fit", "resample", "rounded", "mean", "std")
    return {name: value for name, value in asdict(spec).items() if name in kept}


def _files(folder: Path) -> list[dict[str, Any]]:
    """What the page may fetch of a folder: paths, sizes in bytes, SHA-256."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name not in _BESIDE:
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
            found.append(
                {
                    "path": path.relative_to(folder).as_posix(),
                    "bytes": path.stat().st_size,
                    "sha256": digest.hexdigest(),
                }
            )
    return found
