"""`galago index`: what a person types and sees."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from galago.album import album_folder, album_names, indexing
from galago.clip.mobileclip import MobileCLIP
from tests.helpers.albums import FakeEmbedder, Models, photo, update
from tests.helpers.clips import pictures
from tests.helpers.commandline import found, run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("models")
LOAD = MobileCLIP.load


def test_index_says_what_it_did(capsys: Capture, photos: Path, models: Models) -> None:
    first = run(capsys, "index", photos)
    assert first.code == 0 and first.err == ""
    assert first.out.startswith("album default: 45 photos (45 new; ")
    assert models.asked == ["mobileclip2-nano"]
    again = run(capsys, "index")
    assert again.out == "album default: 45 photos (45 unchanged)\n"
    assert models.asked == ["mobileclip2-nano"]  # nothing to encode, so nothing is opened


def test_index_leaves_out_what_it_is_told_to(capsys: Capture, photos: Path) -> None:
    photo(photos / ".hidden" / "a.png", "red", 99)
    out = run(capsys, "index", photos, "--skip", "green", "--skip", "1?.png").out
    assert out.startswith("album default: 20 photos")
    assert "46 photos" in run(capsys, "index", photos, "--hidden").out


def test_index_tells_what_skip_did_not_find(capsys: Capture, photos: Path) -> None:
    result = run(capsys, "index", photos, "--skip", "GREEN/*", "--skip", photos / "red")
    assert (
        result.out.startswith("album default: 30 photos") and "GREEN/* left nothing" in result.line
    )
    refused = run(capsys, "index", photos, "--skip", "!red")
    assert refused.code == 2 and "taken in again" in refused.line


def test_index_tells_what_it_passed_over(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for absent in ("rawpy", "av"):
        monkeypatch.setitem(sys.modules, absent, None)
    for name in ("a.CR2", "b.nef", "c.jxl", "d.mp4", "notes.txt"):
        (photos / name).write_bytes(b"x")
    result = run(capsys, "index", photos)
    told, line = result.err.split("; to read them: ")
    assert told == "not indexed: 2 raw photos (.cr2 .nef), 1 .jxl, 1 video (.mp4)"
    assert "rawpy" in line and "av>=" in line and line.count("\n") == 1


def test_index_tells_what_cannot_be_read(capsys: Capture, photos: Path) -> None:
    for number in range(7):
        (photos / f"bad\n{number}.jpg").write_text("no picture")
        os.utime(photos / f"bad\n{number}.jpg", (1e9, 1e9))
    result = run(capsys, "index", photos)
    lines = result.err.splitlines()
    assert result.code == 1 and "45 photos" in result.out and len(lines) == 6
    assert "$'" in lines[0] and "not a picture" in lines[0] and "2 more files" in lines[5]
    assert run(capsys, "index", photos).code == 0
    listed = run(capsys, "album", "--failed")
    assert len(listed.out.splitlines()) == 7
    assert all("error" in json.loads(line) for line in run(
        capsys, "album", "--failed", "--json").out.splitlines())  # fmt: skip


def test_ctrl_c_says_what_was_kept(capsys: Capture, photos: Path, models: Models) -> None:
    models.stop_after = 20
    stopped = run(capsys, "index", photos)
    assert stopped.code == 130 and stopped.out == ""
    assert "16 of 45 files are done and kept; the same command continues" in stopped.err
    models.stop_after = None
    assert "45 photos (29 new, 16 unchanged" in run(capsys, "index", photos).out


def test_ctrl_c_of_a_fresh_run_names_what_continues(
    capsys: Capture, indexed: Path, models: Models
) -> None:
    models.stop_after = 20
    args = ("--fresh", "-m", "an other", "--album")
    run(capsys, "index", indexed, "--album", "my own")
    stopped = run(capsys, "index", *args, "my own")
    assert stopped.code == 130 and "16 of 45 files are done and kept; " in stopped.err
    assert "; galago index --album 'my own' -m 'an other' continues\n" in stopped.err
    models.stop_after = None
    again = run(capsys, "index", "--album", "my own", "-m", "an other")
    assert "45 photos (29 new, 16 unchanged" in again.out


def test_what_is_not_noted_is_told_by_reason(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    for number in range(8):
        (photos / f"{number}.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 64)
        (photos / f"bad{number}.jpg").write_text("no picture")
        os.utime(photos / f"bad{number}.jpg", (1e9, 1e9))
    result = run(capsys, "index", photos, "--album", "my own")
    lines = result.err.splitlines()
    assert result.code == 1 and len(lines) == 7
    assert lines[5].endswith("3 more files can't be read: galago album --failed --album 'my own'")
    assert "0.heic and 7 more: " in lines[6] and "the extra heic" in lines[6]
    assert len(run(capsys, "album", "--failed", "--album", "my own").out.splitlines()) == 8


def test_nothing_but_bad_files(capsys: Capture, tmp_path: Path) -> None:
    bad = tmp_path / "bad" / "a.jpg"
    bad.parent.mkdir()
    bad.write_text("no picture")
    assert run(capsys, "index", bad.parent).code == 2
    photo(bad.with_name("b.png"))
    bad.write_text("no picture either")
    assert run(capsys, "index").code == 1
    os.utime(bad, (1e9, 1e9))
    assert run(capsys, "index").code == 1 and run(capsys, "index").code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["index"], "say which folder to index"),
        (["index", "nowhere"], "there is no folder nowhere"),
        (["index", "EMPTY"], "no picture"),
        (["index", "EMPTY", "--album", "a/b"], "an album can't be called 'a/b'"),
        (["search", "dog"], "there is no album 'default' yet"),
        (["duplicates"], "there is no album 'default' yet"),
        (["album", "--album", "none"], "galago index FOLDER --album none"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capsys: Capture, tmp_path: Path, args: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    result = run(capsys, *(str(tmp_path / "empty") if a == "EMPTY" else a for a in args))
    assert result.code == 2 and result.out == "" and said in result.line
    assert album_names() == []


def test_an_empty_name_is_no_folder(
    capsys: Capture, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed)
    for args in (["album", "--forget", ""], ["index", ""]):
        refused = run(capsys, *args)
        assert refused.code == 2 and "is empty" in refused.line
    assert run(capsys, "index").out == "album default: 45 photos (45 unchanged)\n"


def test_who_waits_for_another_is_told_in_a_line_that_stays(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with ExitStack() as other:
        other.enter_context(indexing.write_lock(album_folder()))

        def hear(text: str) -> None:
            told.append(text)
            other.close()  # as the other does when it is ready

        monkeypatch.setattr("galago.cli.index.say", hear)
        assert run(capsys, "index", photos).code == 0
    assert told == ["waiting for another galago that is indexing album 'default'"]


def test_names_too_long_and_places_not_to_be_entered(
    capsys: Capture, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = run(capsys, "index", photos, "--album", "é" * 101)
    assert long.code == 2 and "can't be called" in long.line
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "file" / "albums"))
    closed = run(capsys, "index", photos)
    assert closed.code == 2 and "set GALAGO_ALBUMS" in closed.line
    real = os.stat

    def stat(path: object, *more: object, **named: object) -> os.stat_result:
        if "albums" in os.fspath(path).split(os.sep):  # type: ignore[call-overload]
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    monkeypatch.setattr(os, "stat", stat)
    closed = run(capsys, "index", photos)
    assert closed.code == 2 and "set GALAGO_ALBUMS" in closed.line


def test_a_model_that_cannot_be_read_is_not_the_albums_fault(
    capsys: Capture, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(MobileCLIP, "load", load)
    refused = run(capsys, "index", photos)
    assert refused.code == 2
    assert refused.line == "the model mobileclip2-nano can't be read: Permission denied"


def test_a_second_run_that_waited_uses_the_model_of_the_first(
    capsys: Capture, photos: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = indexing.write_lock

    @contextmanager
    def waited(folder: Path, *more: object) -> object:
        monkeypatch.setattr(indexing, "write_lock", lock)
        update(folder, photos / "red", model=FakeEmbedder("fake-2"))
        with lock(folder):
            yield

    monkeypatch.setattr(indexing, "write_lock", waited)
    result = run(capsys, "index", photos)
    assert models.asked == ["fake"] and result.code == 0, result.err
    assert "45 photos (30 new, 15 unchanged" in result.out


def test_a_real_model_from_end_to_end(
    capsys: Capture, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MobileCLIP, "load", LOAD)
    clip = shutil.copytree(clip_folder, tmp_path / "clip")
    (tmp_path / "photos").mkdir()
    for name, pixels in zip(("red", "blue"), pictures(2), strict=True):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    made = run(capsys, "index", tmp_path / "photos", "-m", clip)
    assert made.code == 0 and "2 photos (2 new)" in made.out, made.err
    result = run(capsys, "search", "anything", "--image", tmp_path / "photos" / "red.png")
    assert result.code == 0 and len(found(result)) == 2  # weights by chance find all alike
    clip.rename(tmp_path / "gone")
    assert "there is no folder" in run(capsys, "search", "anything").line
    assert run(capsys, "search", "anything", "--all", "-m", tmp_path / "gone").code == 0
    assert album_folder().is_dir()


def test_index_counts_what_cannot_be_read_apart(capsys: Capture, tmp_path: Path) -> None:
    photo(tmp_path / "one" / "a.png")
    (tmp_path / "one" / "bad.jpg").write_text("no picture")
    os.utime(tmp_path / "one" / "bad.jpg", (1e9, 1e9))
    first = run(capsys, "index", tmp_path / "one")
    assert first.out == "album default: 1 photo (1 new, 1 can't be read)\n"
    assert "bad.jpg: not a picture galago can read" in first.err
    again = run(capsys, "index")
    assert again.out == "album default: 1 photo (1 unchanged, 1 can't be read)\n"
    assert "failed   1 file; --failed lists it\n" in run(capsys, "album").out
    (tmp_path / "one" / "bad.jpg").unlink()
    assert run(capsys, "index").out == "album default: 1 photo (1 unchanged, 1 gone)\n"
    left = run(capsys, "album", "--forget", tmp_path / "one").out
    assert left == "1 photo left album default\n"


@pytest.mark.parametrize("pattern", ["[]", "[!]", "[^]", "[z-a]", "[a--b]", "[a||b]"])
def test_any_brackets_may_be_skipped(capsys: Capture, photos: Path, pattern: str) -> None:
    result = run(capsys, "index", photos, "--skip", pattern)
    assert result.code == 0 and "45 photos" in result.out
    assert result.line.endswith("left nothing out: no file or folder looked at fits it")
