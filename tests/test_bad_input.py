"""Whatever is wrong: one clear line, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from galago.places import cache_dir
from tests.checkpoints import TINY_TEXT, tiny_llava
from tests.commandline import run, spawn, start

Capture = pytest.CaptureFixture[str]


# -- pictures --------------------------------------------------------------------------------------


def _encoded(kind: str, size: tuple[int, int] = (300, 200)) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(out, kind)
    return out.getvalue()


def _half(kind: str) -> bytes:
    data = _encoded(kind)
    return data[: len(data) // 2]


def _bomb() -> bytes:
    """A PNG of a few kilobytes that claims 100,000 x 100,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty file": ("a.jpg", lambda: b"", "empty"),
    "text named .jpg": ("a.jpg", lambda: b"Dear diary,\n", "not a picture"),
    "truncated JPEG": ("a.jpg", lambda: _half("JPEG"), "damaged|cut off|truncated|broken"),
    "truncated PNG": ("a.png", lambda: _half("PNG"), "damaged|cut off|truncated|broken"),
    "truncated WebP": ("a.webp", lambda: _half("WEBP"), "damaged|cut off|truncated|broken"),
    "decompression bomb": ("a.png", _bomb, "megapixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures(capsys: Capture, ready: Path, tmp_path: Path, case: str) -> None:
    name, make, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(make())
    result = run(capsys, "describe", path, "-m", ready)
    assert result.code == 2 and result.out == "" and name in result.line
    assert any(word in result.line for word in said.split("|")), result.line


def test_missing_picture_is_said_before_the_model_loads(capsys: Capture) -> None:
    result = run(capsys, "describe", "none.jpg", "-m", "apple/FastVLM-7B")
    assert result.code == 2 and "no such picture: none.jpg" in result.line


def test_folder_without_pictures(capsys: Capture, ready: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    result = run(capsys, "describe", tmp_path, "-m", ready)
    assert result.code == 2 and "no picture" in result.line and "--recursive" in result.line


def _odd_pictures() -> dict[str, bytes]:
    noise = Image.effect_noise((60, 40), 90)
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [Image.new("P", (40, 30), color) for color in (1, 2, 3)]

    def save(image: Image.Image, kind: str, **options: object) -> bytes:
        out = io.BytesIO()
        image.save(out, kind, **options)  # type: ignore[arg-type]
        return out.getvalue()

    clear = Image.new("P", (40, 30), 0)
    return {
        "one pixel.png": save(Image.new("RGB", (1, 1)), "PNG"),
        "20000x3.png": save(Image.new("L", (20000, 3), 200), "PNG"),
        "cmyk.jpg": save(noise.convert("CMYK"), "JPEG"),
        "16 bit.png": save(Image.new("I;16", (40, 30), 40_000), "PNG"),
        "palette.png": save(clear, "PNG", transparency=0),
        "frames.gif": save(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "turned.jpg": save(noise.convert("RGB"), "JPEG", exif=turned),
    }


def test_odd_pictures_are_answered(capsys: Capture, ready: Path, tmp_path: Path) -> None:
    pictures = _odd_pictures()
    for name, data in pictures.items():
        (tmp_path / name).write_bytes(data)
    result = run(capsys, "describe", tmp_path, "-m", ready, "--max-tokens", "1", "--json")
    assert result.code == 0 and result.err == ""
    records = [json.loads(line) for line in result.out.splitlines()]
    assert {Path(r["picture"]).name for r in records} == set(pictures)
    assert all("error" not in record for record in records)


# -- models ----------------------------------------------------------------------------------------


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny, folder)
    return folder


def _edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def _drop(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Rewrite the header of the weights."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _reshape(header: dict[str, object]) -> None:
    entry = header["model.norm.weight"]
    assert isinstance(entry, dict)
    entry["shape"] = [entry["shape"][0] // 2, 2]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config not JSON": (lambda f: (f / "config.json").write_text("{"), "config.json"),
    "unknown model_type": (lambda f: _edit(f, model_type="llama"), "llama"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
    "weights cut off": (_cut, "model.safetensors"),
    "weights are text": (lambda f: (f / "model.safetensors").write_text("hi"), "safetensors"),
    "tensor missing": (
        lambda f: _drop(f, lambda h: h.pop("model.norm.weight")),
        "model.norm.weight",
    ),
    "tensor of another shape": (lambda f: _drop(f, _reshape), "model.norm.weight"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
}


@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("verb", ["describe", "pull"])
def test_damaged_models(capsys: Capture, broken: Path, picture: Path, case: str, verb: str) -> None:
    damage, said = DAMAGE[case]
    damage(broken)
    command = ["pull", broken] if verb == "pull" else ["describe", picture, "-m", broken]
    result = run(capsys, *command)
    if case == "no tokenizer" and verb == "pull" and result.code == 0:
        pytest.skip("the tokenizer is opened when the model answers")
    assert result.code == 2 and said in result.line
    if verb == "pull":
        assert result.out == "" and not kept()


def kept() -> list[Path]:
    """What is in the cache of conversions, hidden and half-made things included."""
    return list((cache_dir() / "converted").glob("*"))


def test_unknown_model_type_says_what_is_read(capsys: Capture, broken: Path) -> None:
    _edit(broken, model_type="llama")
    assert "llava_qwen2" in run(capsys, "pull", broken).line


# -- disks -----------------------------------------------------------------------------------------


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_full_while_converting(
    capsys: Capture, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.checkpoints.safetensors import SafetensorsWriter

    monkeypatch.setattr(SafetensorsWriter, "close", _full)
    result = run(capsys, "pull", tiny)
    assert result.code == 2 and "full" in result.line and kept() == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mount")
def test_a_really_full_disk(tiny: Path, tmp_path: Path) -> None:
    """A file system of 300 kB, smaller than the model; needs to be root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # In a mount namespace of its own, so that nothing stays mounted whatever happens.
    pull = f"{sys.executable} -m galago pull {tiny}"
    script = f"mount -t tmpfs -o size=300k none {disk} && exec {pull}"
    tool = shutil.which("unshare")
    if tool is None or os.system(f"{tool} -m true 2>/dev/null"):
        pytest.skip("unshare -m is not allowed here")
    done = subprocess.run(
        [tool, "-m", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "GALAGO_CACHE": str(disk / "cache"), "PYTHONPATH": os.getcwd()},
    )
    if "mount:" in done.stderr:
        pytest.skip("mounting is not allowed here")
    lines = [line for line in done.stderr.splitlines() if line.startswith("galago: ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(lines) == 1 and ("make room" in lines[0] or "full" in lines[0])


def test_a_limit_on_file_size(tiny: Path) -> None:
    """The system refuses to write on, in the middle of the weights."""
    resource = pytest.importorskip("resource")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [sys.executable, "-m", "galago", "pull", str(tiny)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert kept() == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions differ on Windows")
def test_a_cache_that_cannot_be_written(
    capsys: Capture, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GALAGO_CACHE", str(tmp_path / "file" / "cache"))
    result = run(capsys, "pull", tiny)
    assert result.code == 2 and "GALAGO_CACHE" in result.line


# -- interruptions ---------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_interrupt_while_converting(tmp_path: Path, capsys: Capture) -> None:
    text = replace(TINY_TEXT, hidden=128, intermediate=512, layers=8, vocab=20_000)
    folder = tiny_llava(tmp_path / "larger", text=text)
    process = start("pull", folder)
    assert process.stderr is not None
    assert "converting" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert kept() == [], "nothing half-written"
    assert run(capsys, "pull", folder).code == 0, "and it can be pulled after that"


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_a_killed_conversion_is_cleared_away(tiny: Path, capsys: Capture) -> None:
    leftover = cache_dir() / "converted" / ".tiny-0123456789ab-fp32-f1.abc.part"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")
    # Another model's, which has another lock: somebody may be writing it right now.
    other = leftover.with_name(".tiny-large-0123456789ab-fp32-f1.abc.part")
    other.mkdir()
    assert run(capsys, "pull", tiny).code == 0
    assert not leftover.exists() and other.exists() and len(kept()) == 2


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "x" * 5000])
def test_names_no_system_takes(capsys: Capture, name: str) -> None:
    for verb in ("describe", "chat"):
        result = run(capsys, verb, name)
        assert result.code == 2 and "no such picture" in result.line
    result = run(capsys, "pull", name)
    assert result.code == 2 and ("no folder" in result.line or "no model" in result.line)


def test_a_closed_stdin_is_an_empty_picture(
    capsys: Capture, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    result = run(capsys, "describe", "-", "-m", ready)
    assert result.code == 2 and "empty" in result.line


def test_a_name_that_does_not_exist(picture: Path) -> None:
    result = spawn("describe", picture, "-m", "fastvlm-nanno")
    assert result.code == 2 and "did you mean fastvlm-nano?" in result.line
