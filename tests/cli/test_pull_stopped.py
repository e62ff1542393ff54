"""`galago pull` broken off: full disks, Ctrl-C, a second one beside it; nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from galago.checkpoints.safetensors import SafetensorsWriter
from galago.convert import store
from galago.places import cache_dir
from tests.helpers.checkpoints import TINY_TEXT, tiny_llava
from tests.helpers.commandline import run, start
from tests.helpers.places import TOP
from tests.helpers.running import unchecked

Capture = pytest.CaptureFixture[str]


def kept() -> list[Path]:
    """What is in the cache of conversions, hidden and half-made things included."""
    return list((cache_dir() / "converted").glob("*"))


# -- disks -----------------------------------------------------------------------------------------


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_full_while_converting(
    capsys: Capture, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SafetensorsWriter, "close", _full)
    result = run(capsys, "pull", tiny)
    assert result.code == 2 and "full" in result.line and kept() == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mount")
@pytest.mark.slow
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
        env={**os.environ, "GALAGO_CACHE": str(disk / "cache"), "PYTHONPATH": str(TOP)},
    )
    if "mount:" in done.stderr:
        pytest.skip("mounting is not allowed here")
    lines = [line for line in done.stderr.splitlines() if line.startswith("galago: ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(lines) == 1 and ("make room" in lines[0] or "full" in lines[0])


@pytest.mark.slow
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
        env={**os.environ, "PYTHONPATH": str(TOP)},
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
@pytest.mark.slow
def test_interrupt_while_converting(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = replace(TINY_TEXT, hidden=128, intermediate=512, vocab=20_000)
    folder = tiny_llava(tmp_path / "larger", text=text)
    process = start("pull", folder)
    assert process.stderr is not None
    assert "converting" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert kept() == [], "nothing half-written"
    unchecked(monkeypatch)
    assert run(capsys, "pull", folder).code == 0, "and it can be pulled after that"


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_a_killed_conversion_is_cleared_away(
    tiny: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked(monkeypatch)
    leftover = cache_dir() / "converted" / ".tiny-0123456789ab-fp32-f1.abc.part"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")
    # Another model's, which has another lock: somebody may be writing it right now.
    other = leftover.with_name(".tiny-large-0123456789ab-fp32-f1.abc.part")
    other.mkdir()
    assert run(capsys, "pull", tiny).code == 0
    assert not leftover.exists() and other.exists() and len(kept()) == 2


@pytest.mark.slow
def test_two_pulls_at_once(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    pulls = [start("pull", folder) for _ in range(2)]
    ended = [pull.communicate(timeout=120) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0], ended
    assert ended[0][0] == ended[1][0]
    assert sum("converting" in err for _, err in ended) == 1, "one works, the other waits"
    assert len(store.kept("model")) == 1
