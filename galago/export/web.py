"""`galago export --to web`: the page of `galago serve` as a folder whose models run in the browser.

The built page lies in `galago/export/page` (from page/, by `npm run web`). ONNX Runtime's files are
too large for the wheel: they are taken from npm's package onnxruntime-web.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galago import catalog
from galago.checkpoints.clip import open_clip_checkpoint
from galago.checkpoints.doubt import DOUBT
from galago.checkpoints.vlm import open_checkpoint
from galago.disk import discard_folder, file_sha256, optional_json
from galago.errors import OptionError
from galago.export.onnx_folder import export_onnx
from galago.export.web_phrases import write_phrases
from galago.export.work import NOTES, begun_by, check_target, read_notes, writing
from galago.hub.resolve import ResolvedModel, resolve
from galago.places import slug
from galago.progress import Progress, silent
from galago.specs import ImageSpec
from galago.text.presets import PRESETS
from galago.text.tongues import TONGUES
from galago.version import __version__

__all__ = [
    "PAGE",
    "RUNTIME",
    "RUNTIME_FILES",
    "WEB_DTYPES",
    "WebProof",
    "WebSite",
    "export_web",
    "find_runtime",
]

PAGE = Path(__file__).parent / "page"
RUNTIME = "1.30.0"  # of onnxruntime-web: the version that the page is built with
# Plain, and with WebGPU; a browser fetches one of the two.
RUNTIME_FILES = tuple(
    f"ort-wasm-simd-threaded{kind}.{end}" for kind in ("", ".asyncify") for end in ("mjs", "wasm")
)
WEB_DTYPES = {"fastvlm": "int8", "mobileclip": "q8"}  # small on the wire, computed in float32
_CHECKOUT = Path(__file__).parents[2] / "page"
_BESIDE = {NOTES, "README.md"}  # in a model's folder, but not for the page


@dataclass(frozen=True)
class WebProof:
    """The figures of one of the page's models."""

    model: str
    figures: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """In one level."""
        return {"model": self.model, **self.figures}


@dataclass(frozen=True)
class WebSite:
    """A page that was written: the figures of its models in order, and how many bytes it holds."""

    folder: Path
    proofs: tuple[WebProof, ...]
    bytes: int

    @property
    def remarks(self) -> list[str]:
        """What to do with it, for people."""
        return [
            f"{self.bytes / 1e6:,.0f} MB; to see it here: python -m http.server --directory "
            f"{shlex.quote(str(self.folder))}, then http://localhost:8000"
        ]


@dataclass(frozen=True)
class _Part:
    """A model of the page, and how its weights are stored."""

    model: ResolvedModel
    dtype: str

    @property
    def id(self) -> str:
        """What the page calls it: of a folder its name alone, as its path is nobody's business."""
        known = self.model.row is not None or self.model.remote
        return self.model.name if known else self.model.folder.name


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
        where = (
            "are needed" if named is None else f"aren't all in {named} ({missing[0]} is missing)"
        )
        raise OptionError(f"the files of onnxruntime-web {where}: {how}")
    version = (optional_json(folder.parent / "package.json") or {}).get("version", RUNTIME)
    if version != RUNTIME:
        raise OptionError(f"{folder} is of version {version}, the page needs {RUNTIME}: {how}")
    return folder


def export_web(
    model: ResolvedModel,
    dtypes: Sequence[str],
    out: Path,
    progress: Progress = silent,
    *,
    beside: Sequence[ResolvedModel] | None = None,
    runtime: Path | None = None,
) -> WebSite:
    """Write a folder for any web server: the page, models that are proved (as by `export_onnx`),
    and ONNX Runtime's files from the folder `runtime` (`find_runtime`).

    `model` is stored as the one of `dtypes`; `beside`, by default the embedded models, as
    WEB_DTYPES says. The first FastVLM answers questions. Made beside its place, where a stopped one
    is continued. Raises OptionError for a folder that is there, two models of one name, or none
    that answers; what `export_onnx` raises.
    """
    files = find_runtime(runtime)
    check_target(out)
    parts = _parts(model, dtypes, beside)
    work = out.with_name(f".{out.name}.galago-web")
    with writing(out):
        proofs = [proof for part in parts for proof in _export(part, work, progress)]
        shutil.copytree(PAGE, work, dirs_exist_ok=True)
        (work / "runtime").mkdir(exist_ok=True)
        for name in RUNTIME_FILES:
            shutil.copyfile(files / name, work / "runtime" / name)
        text = json.dumps(_site(parts, work), ensure_ascii=False, indent=1)
        (work / "site.json").write_text(f"{text}\n", encoding="utf-8")
        discard_folder(out)  # an empty one
        work.replace(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return WebSite(out, tuple(proofs), size)


def _parts(
    model: ResolvedModel, dtypes: Sequence[str], beside: Sequence[ResolvedModel] | None
) -> list[_Part]:
    if beside is None:
        embedded = [resolve(name) for name in (catalog.DEFAULT, catalog.DEFAULT_CLIP)]
        beside = [one for one in embedded if one.name != model.name]
    parts = [_Part(model, *dtypes)]
    parts += [_Part(one, WEB_DTYPES[one.kind or "fastvlm"]) for one in beside]
    names = [part.id for part in parts]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"{doubled} is named twice: a page has each model once")
    if all(part.model.kind == "mobileclip" for part in parts):
        raise OptionError(f"no model of these answers questions: add --with {catalog.DEFAULT}")
    return parts


def _export(part: _Part, work: Path, progress: Progress) -> list[WebProof]:
    """Have the model's folder made, unless a stopped export has left it there whole; its proofs."""
    folder = work / "models" / slug(part.id)
    if not _is_whole(folder, part):
        shutil.rmtree(folder, ignore_errors=True)
        export_onnx(part.model, [part.dtype], folder, progress)
    doubt = part.model.folder / DOUBT
    if doubt.is_file():
        shutil.copyfile(doubt, folder / DOUBT)
    if part.model.kind == "mobileclip":
        write_phrases(part.model.folder, folder)
    return [WebProof(part.id, figures) for figures in read_notes(folder)["proofs"]]


def _is_whole(folder: Path, part: _Part) -> bool:
    """Whether a stopped export has left the model there: a folder with notes of proofs is whole."""
    notes = read_notes(folder)
    proved = [figures["dtype"] for figures in notes.get("proofs", [])]
    return notes.get("begun") == begun_by(part.model) and proved == [part.dtype]


def _site(parts: Sequence[_Part], work: Path) -> dict[str, Any]:
    """What the page reads first, as page/src/local/site.ts has it."""
    answering = [part.id for part in parts if part.model.kind != "mobileclip"]
    languages = [
        {"name": one.name, "code": one.code, "called": list(one.called)} for one in TONGUES
    ]
    runtime = {"folder": "runtime/", "version": RUNTIME, "files": _files(work / "runtime")}
    return {
        "version": __version__,
        "default": answering[0],
        "models": [_described(part, work) for part in parts],
        "languages": languages,
        "runtime": runtime,
    }


def _described(part: _Part, work: Path) -> dict[str, Any]:
    model, row = part.model, part.model.row
    kind = model.kind or "fastvlm"
    demo = row is not None and row.embedded
    clip = kind == "mobileclip"
    open_one = open_clip_checkpoint if clip else open_checkpoint
    cannot = catalog.cannot(model.name)
    presets = [
        {"id": name, "prompt": prompt, "possible": name not in cannot}
        for name, prompt in PRESETS.items()
    ]
    folder = f"models/{slug(part.id)}"
    return {
        "id": part.id,
        "kind": kind,
        "demo": demo,
        "knows": row.knows if row and demo else "",
        "licence": row.licence.line if row else "that of the model it is made of",
        "folder": f"{folder}/",
        "dtype": part.dtype,
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
            found.append(
                {
                    "path": path.relative_to(folder).as_posix(),
                    "bytes": path.stat().st_size,
                    "sha256": file_sha256(path),
                }
            )
    return found
