"""`galago export --to coreml` as a command: nano in every form, and one line for the rest."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("coremltools", reason="needs the extra coreml")

from galago.engine.mil import Package, Port
from tests.helpers.clips import tiny_clip
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("models") / "été à la mer" / "写真 2")


@pytest.mark.slow
@pytest.mark.model
def test_nano_in_every_form(capsys: Capture, tmp_path: Path) -> None:
    """Each passes by the bounds of its own dtype, and says what fastvlm-nano says."""
    words = ("--to", "coreml-own", "--dtype", "all", "--json")
    result = run(capsys, "export", "fastvlm-nano", tmp_path / "nano", *words)
    assert result.code == 0, result.err
    found = {one["dtype"]: one for one in map(json.loads, result.out.splitlines())}
    assert list(found) == ["fp16", "int8", "int4"]
    assert all(one["passed"] and one["error"] < 1e-3 for one in found.values())
    assert found["fp16"]["same"] == found["int8"]["same"] == found["fp16"]["asked"] == 6
    assert found["fp16"]["top1"] == found["int8"]["top1"] == 1 and found["int4"]["top1"] > 0.9
    assert {path.stem for path in (tmp_path / "nano").glob("*.mlpackage")} == {
        "trunk_36x768", "projector", "embed_tokens_fp16", "embed_tokens_int8",
        "decoder_fp16", "decoder_int8", "decoder_int4",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.model
def test_mobileclip_as_apple_calls_it(capsys: Capture, tmp_path: Path) -> None:
    """Names, shapes and types of apple/coreml-mobileclip, at nano's size."""
    out = tmp_path / "search"
    result = run(capsys, "export", "mobileclip2-nano", out, "--to", "coreml", "--json")
    assert result.code == 0 and json.loads(result.out)["passed"]
    assert {path.stem for path in out.glob("*.mlpackage")} == {
        "mobileclip2_nano_image", "mobileclip2_nano_text",
    }  # fmt: skip
    image, text = (Package(out / f"mobileclip2_nano_{part}.mlpackage") for part in _PARTS)
    assert image.inputs == {"image": Port("image", (3, 256, 256))}
    assert text.inputs == {"text": Port("int32", (1, 77))}
    assert image.outputs == text.outputs and list(text.outputs) == ["final_emb_1"]


_PARTS = ("image", "text")


def test_a_trunk_that_the_app_cannot_take(capsys: Capture, tmp_path: Path) -> None:
    result = run(capsys, "export", "fastvlm-nano", tmp_path / "out", "--to", "coreml")
    assert result.code == 2 and "--to coreml-own" in result.line
    assert "256 tokens of 3072 numbers" in result.line and "36 of 768" in result.line
    assert not list(tmp_path.iterdir())


def test_names_of_any_writing(capsys: Capture, model: Path, tmp_path: Path) -> None:
    """Xcode makes a class of a package's name; the folder's own may be anything."""
    out = tmp_path / "für später" / "写真 ★"
    result = run(capsys, "export", model, out, "--to", "coreml")
    assert result.code == 0 and result.out == f"{out}\n"
    names = {path.name for path in out.glob("*.mlpackage")}
    assert names == {"clip__2_image.mlpackage", "clip__2_text.mlpackage"}


def test_within_the_model(capsys: Capture, model: Path, tmp_path: Path) -> None:
    """The model stays what it is."""
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    result = run(capsys, "export", copy, copy / "for phones", "--to", "coreml")
    assert result.code == 0 and (copy / "for phones" / "model_text.mlpackage").is_dir()
    after = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    assert before == after and {path.name for path in copy.iterdir()} == {*before, "for phones"}
    result = run(capsys, "export", copy, copy, "--to", "coreml")
    assert result.code == 2 and "is there already" in result.line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("size", ["60k", "160k"])
def test_a_disk_that_is_full(
    size: str, capsys: Capture, model: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """coremltools calls it an input/output error of its copying, or fails behind its own writing;
    what it leaves open says nothing either."""
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    subprocess.run(["mount", "-o", f"remount,size={size}", str(small_disk)], check=True)
    out = small_disk / "out"
    result = run(capsys, "export", model, out, "--to", "coreml")
    gc.collect()
    assert not ignored
    assert result.code == 2 and result.line == (
        f"the disk that holds {small_disk} is full: make room and run the same command again; "
        "what was written is kept"
    )
    assert not out.exists() and not list(small_disk.rglob(".coreml-*"))
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    assert run(capsys, "export", model, out, "--to", "coreml").code == 0
    assert [path.name for path in small_disk.iterdir()] == ["out"]
