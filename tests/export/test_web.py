"""The page without a server: a folder that is whole and says what is in it, or none."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from galago.album.match import phrases
from galago.checkpoints.doubt import DOUBT
from galago.checkpoints.safetensors import SafetensorsFile
from galago.clip.mobileclip import MobileCLIP
from galago.errors import OptionError
from galago.export import web
from galago.export.web import RUNTIME, RUNTIME_FILES, WebSite, export_web, find_runtime
from galago.export.web_phrases import CHINESE, PHRASES
from galago.hub.resolve import ResolvedModel, resolve
from galago.places import DATA
from tests.helpers.places import TOP


@pytest.fixture(scope="module")
def nano() -> ResolvedModel:
    return resolve("fastvlm-nano")


@pytest.fixture(scope="module")
def clip() -> ResolvedModel:
    return resolve("mobileclip2-nano")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What npm's package unpacks to, with other bytes."""
    package = tmp_path_factory.mktemp("npm") / "package"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": RUNTIME}))
    for name in RUNTIME_FILES:
        (package / "dist" / name).write_text(name)
    return package


@pytest.fixture(scope="module")
def site(nano: ResolvedModel, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> WebSite:
    out = tmp_path_factory.mktemp("out") / "a site"
    return export_web(nano, ["int8"], out, runtime=runtime)


def _told(site: WebSite) -> dict[str, object]:
    found: dict[str, object] = json.loads((site.folder / "site.json").read_text("utf-8"))
    return found


def test_a_whole_folder(site: WebSite) -> None:
    assert [path.name for path in site.folder.parent.iterdir()] == ["a site"]
    names = {path.name for path in site.folder.iterdir()}
    assert names >= {"index.html", "sw.js", "manifest.webmanifest", "assets", "icons", "site.json"}
    built = {path.relative_to(web.PAGE) for path in web.PAGE.rglob("*")}
    assert built <= {path.relative_to(site.folder) for path in site.folder.rglob("*")}
    assert [proof.to_json()["model"] for proof in site.proofs] == [
        "fastvlm-nano",
        "mobileclip2-nano",
    ]
    assert all(proof.to_json()["passed"] for proof in site.proofs)
    assert "python -m http.server" in site.remarks[0]


def test_every_file_is_told_with_its_digest(site: WebSite) -> None:
    told = json.loads((site.folder / "site.json").read_text("utf-8"))
    folders = [*told["models"], told["runtime"]]
    for one in folders:
        for file in one["files"]:
            data = (site.folder / one["folder"] / file["path"]).read_bytes()
            assert file["bytes"] == len(data) and file["sha256"] == hashlib.sha256(data).hexdigest()
    names = {file["path"] for file in told["models"][0]["files"]}
    assert {"onnx/vision_encoder_int8.onnx", "tokenizer.json", DOUBT} <= names
    assert not names & {"README.md", "galago-export.json"}
    assert {file["path"] for file in told["runtime"]["files"]} == set(RUNTIME_FILES)


def test_what_the_page_is_told_of_models(site: WebSite) -> None:
    told = _told(site)
    vlm, clip = told["models"]  # type: ignore[misc]
    assert told["default"] == vlm["id"] == "fastvlm-nano" and clip["kind"] == "mobileclip"
    possible = {preset["id"]: preset["possible"] for preset in vlm["presets"]}
    assert possible["read"] and not possible["translate"] and clip["presets"] == []
    assert vlm["image"]["side"] == 384 and vlm["image"]["fit"] == "pad"
    assert clip["image"] == {
        "side": 192,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "resample": "bilinear",
        "fit": "crop",
        "rounded": True,
    }
    assert vlm["demo"] and "Apache" in vlm["licence"]


def test_the_runtime_is_the_one_that_the_page_is_built_with() -> None:
    page = json.loads((TOP / "page" / "package.json").read_text())
    assert page["devDependencies"]["onnxruntime-web"] == RUNTIME


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda package: (package / "dist" / RUNTIME_FILES[1]).unlink(), "is missing"),
        (lambda package: (package / "package.json").write_text('{"version": "1.2.3"}'), "1.2.3"),
    ],
)
def test_another_runtime_is_refused(spoil, line: str, runtime: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    package = shutil.copytree(runtime, tmp_path / "package")
    assert find_runtime(package) == find_runtime(package / "dist") == package / "dist"
    spoil(package)
    with pytest.raises(OptionError, match=line) as caught:
        find_runtime(package)
    assert f"npm pack onnxruntime-web@{RUNTIME}" in str(caught.value)


def test_without_a_checkout_the_runtime_must_be_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(web, "_CHECKOUT", tmp_path)
    with pytest.raises(OptionError, match=f"npm pack onnxruntime-web@{RUNTIME}.*--runtime package"):
        find_runtime(None)


def test_a_page_that_could_not_answer_is_refused(
    nano: ResolvedModel, clip: ResolvedModel, runtime: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="no model of these answers questions"):
        export_web(clip, ["q8"], tmp_path / "out", beside=[], runtime=runtime)
    with pytest.raises(OptionError, match="fastvlm-nano is named twice"):
        export_web(nano, ["int8"], tmp_path / "out", beside=[clip, nano], runtime=runtime)
    assert not list(tmp_path.iterdir())


def test_what_was_stopped_is_continued(
    clip: ResolvedModel,
    nano: ResolvedModel,
    runtime: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, written, stop = web.export_onnx, [], [nano]

    def export(model: ResolvedModel, *rest: object) -> object:
        if model in stop:
            raise KeyboardInterrupt
        written.append(model.name)
        return real(model, *rest)  # type: ignore[arg-type]

    (tmp_path / "out").mkdir()  # an empty folder is no hindrance
    monkeypatch.setattr(web, "export_onnx", export)
    with pytest.raises(KeyboardInterrupt):
        export_web(clip, ["q8"], tmp_path / "out", beside=[nano], runtime=runtime)
    stop.clear()
    made = export_web(clip, ["q8"], tmp_path / "out", beside=[nano], runtime=runtime)
    assert written == ["mobileclip2-nano", "fastvlm-nano"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and made.bytes > 15e6


def test_a_folder_of_ones_own_is_called_by_its_name(nano: ResolvedModel, tmp_path: Path) -> None:
    folder = shutil.copytree(nano.folder, tmp_path / "secret" / "mine")
    parts = web._parts(resolve(folder), ["int8"], [])
    assert [part.id for part in parts] == ["mine"]


def test_what_albums_are_measured_by_comes_with_the_model(site: WebSite) -> None:
    shown, absent = phrases()
    file = SafetensorsFile(site.folder / "models" / "mobileclip2-nano" / PHRASES)
    rows = file.tensors["background"].read().astype(np.float32)
    model = MobileCLIP.load("mobileclip2-nano", precision="fp32")
    expected = model.embed_texts([*shown, *absent])
    assert np.allclose(rows, expected, atol=1e-3)  # float16
    files = {entry["path"]: entry["sha256"] for entry in _told(site)["models"][1]["files"]}  # type: ignore[index]
    words = (DATA / CHINESE).read_bytes()
    assert PHRASES in files and files[CHINESE] == hashlib.sha256(words).hexdigest()
