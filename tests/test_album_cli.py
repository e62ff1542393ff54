"""Albums at the command line: what a person types and sees."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from galago.album import album_folder, album_names
from galago.cli.terminal import path_fields, shown
from galago.clip.mobileclip import MobileCLIP
from tests.albums import FakeEmbedder, photo
from tests.commandline import Result, run

Capture = pytest.CaptureFixture[str]


class FakeClip(FakeEmbedder):
    spec = SimpleNamespace(text=SimpleNamespace(context=77))

    def fits(self, text: str) -> bool:
        return len(text.split()) <= 75


class Models:
    """What MobileCLIP.load gives by name; notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stop_after: int | None = None

    def load(self, name: object, **_: object) -> FakeClip:
        self.asked.append(os.fspath(name))  # type: ignore[call-overload]
        second = "other" in str(name) or str(name) == "fake"  # "fake": of tests.albums.update
        model = FakeClip("fake-2" if second else "fake-1", self.stop_after)
        model.name = str(name)
        return model


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Models:
    found = Models()
    monkeypatch.setattr(MobileCLIP, "load", found.load)
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty-five pictures, red and blue ones and green ones."""
    for colour in ("red", "blue", "green"):
        for seed in range(15):
            photo(tmp_path / "photos" / colour / f"{seed}.png", colour, seed)
    return tmp_path / "photos"


@pytest.fixture
def indexed(capsys: Capture, photos: Path) -> Path:
    assert run(capsys, "index", photos).code == 0
    return photos


def found(result: Result) -> list[str]:
    return [line.split("  ", 1)[1] for line in result.out.splitlines()]


@pytest.mark.parametrize("verb", ["index", "search", "duplicates", "album"])
def test_help_has_examples(capsys: Capture, verb: str) -> None:
    shown_ = run(capsys, verb, "--help")
    assert shown_.code == 0 and "Examples:" in shown_.out and f"galago {verb}" in shown_.out


# -- index -----------------------------------------------------------------------------------------


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
    assert "0.heic and 7 more: " in lines[6] and "galago[heic]" in lines[6]
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


def test_a_damaged_album_is_told(capsys: Capture, indexed: Path) -> None:
    from galago.album.names import DATABASE

    database = album_folder() / DATABASE
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    for args in (["index"], ["album"], ["album", "--failed"]):
        told = run(capsys, *args)
        assert told.code == 2 and "is damaged" in told.line and "index again" in told.line


def test_a_second_run_that_waited_uses_the_model_of_the_first(
    capsys: Capture, photos: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from galago.album import indexing
    from tests.albums import update

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


def test_an_empty_album_is_told(capsys: Capture, indexed: Path) -> None:
    shutil.rmtree(indexed)
    indexed.mkdir()
    assert run(capsys, "index", indexed).out == "album default: 0 photos (45 gone)\n"
    for args in (["search", "red"], ["duplicates"]):
        assert "has no photos yet" in run(capsys, *args).line


# -- search ----------------------------------------------------------------------------------------


def test_search_by_words(capsys: Capture, indexed: Path) -> None:
    result = run(capsys, "search", "a", "red", "thing", "-k", "5")
    paths = found(result)
    assert result.code == 0 and len(paths) == 5 and result.err == ""
    assert {Path(path).parent.name for path in paths} == {"red"}
    scores = [float(line.split()[0]) for line in result.out.splitlines()]
    assert scores == sorted(scores, reverse=True)


def test_json_has_what_was_promised(capsys: Capture, indexed: Path) -> None:
    lines = run(capsys, "search", "a red thing", "-k", "3", "--json").out.splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 3
    assert all(set(record) == {"path", "score", "strength", "match"} for record in records)
    assert all(record["match"] and Path(record["path"]).is_file() for record in records)


def test_a_query_with_no_match_says_so(capsys: Capture, indexed: Path) -> None:
    nothing = next(
        result
        for word in ("xylophone", "seven", "quarter", "figures")
        if not (result := run(capsys, "search", word)).out
    )
    assert nothing.code == 0 and nothing.err == (
        "no photo matches; --all shows the nearest all the same\n"
    )
    every = run(capsys, "search", "a red thing", "--all", "-k", "100", "--json")
    records = [json.loads(line) for line in every.out.splitlines()]
    assert len(records) == 45 and not all(record["match"] for record in records)


def test_search_by_pictures(capsys: Capture, indexed: Path) -> None:
    blue, red = indexed / "blue" / "3.png", indexed / "red" / "3.png"
    like = found(run(capsys, "search", "--image", blue, "-k", "15"))
    assert like[0] == str(blue) and {Path(path).parent.name for path in like} == {"blue"}
    mixed = found(run(capsys, "search", "a red thing", "--plus", blue, "--all", "-k", "30"))
    assert {Path(path).parent.name for path in mixed} == {"red", "blue"}
    apart = found(run(capsys, "search", "a red thing", "--plus", blue, "--minus", red, "-k", "9"))
    assert {Path(path).parent.name for path in apart} == {"blue"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "say what to look for"),
        ([""], "say what to look for"),
        (["--minus", "people"], "say what to look for"),
        (["red", "--plus", " "], "--plus is empty"),
        (["--image", "none.jpg"], "no such picture"),
        (["red", "--plus", "none.jpg"], "no such picture: none.jpg"),
        (["red", "-k", "0"], "ask for 1 or more"),
        (["red", "--html", "/"], "is no file"),
        (["red", "--html", ""], "is no file"),
    ],
)
def test_queries_that_ask_nothing(
    capsys: Capture, indexed: Path, models: Models, args: list[str], said: str
) -> None:
    models.asked.clear()
    result = run(capsys, "search", *args)
    assert result.code == 2 and said in result.line
    assert models.asked == []  # a model may be large, and have to be fetched


def test_a_very_long_query_is_cut_with_a_note(capsys: Capture, indexed: Path) -> None:
    result = run(capsys, "search", "red " * 10_000, "-k", "2")
    assert result.code == 0 and len(result.out.splitlines()) == 2
    assert (
        result.err == "note: the model reads 77 tokens of a query; the end of yours is left out\n"
    )


def test_another_model_is_refused(capsys: Capture, indexed: Path, models: Models) -> None:
    refused = run(capsys, "search", "red", "-m", "other")
    assert refused.code == 2 and refused.line.endswith("galago index --fresh -m other")
    assert run(capsys, "index", "--fresh", "-m", "other").code == 0
    models.asked.clear()
    assert run(capsys, "search", "red", "--all").code == 0 and models.asked == ["other"]


def test_a_page_to_look_at(
    capsys: Capture, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    page = tmp_path / "page.html"
    result = run(capsys, "search", "a <red> thing", "--html", page, "-k", "4")
    assert result.code == 0 and not opened
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg") == 4 and "a &lt;red&gt; thing" in text
    run(capsys, "search", "a red thing", "--open", "-k", "4")
    (address,) = opened
    assert Path(address.removeprefix("file://")).is_relative_to(tmp_path)
    refused = run(capsys, "search", "a red thing", "--html", tmp_path / "none" / "page.html")
    assert refused.code == 2 and "can't be written" in refused.line


def test_a_page_takes_no_place_of_value(
    capsys: Capture, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run(capsys, "search", "red", "--html", indexed / "red" / "1.png")
    assert refused.code == 2 and "is the name of a picture" in refused.line

    def full(*_: object, **__: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("galago.album.sheet.thumbnail", full)
    page = tmp_path / "page.html"
    page.write_text("old")
    before = sorted(tmp_path.iterdir())
    cut = run(capsys, "search", "a red thing", "--html", page)
    assert cut.code == 2 and f"can't be written to {page}: No space" in cut.line
    assert page.read_text() == "old" and sorted(tmp_path.iterdir()) == before
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    nowhere = run(capsys, "search", "a red thing", "--open")
    assert nowhere.code == 2 and f"can't be written to {tempfile.gettempdir()}: " in nowhere.line


# -- duplicates, album -----------------------------------------------------------------------------


def test_duplicates(capsys: Capture, tmp_path: Path) -> None:
    folder = tmp_path / "some"
    for colour in ("red", "blue"):
        shutil.copy2(photo(folder / f"{colour}.png", colour), folder / f"{colour} again.png")
    photo(folder / "green.png", "green")
    run(capsys, "index", folder)
    result = run(capsys, "duplicates")
    assert result.code == 0 and result.err == "2 groups of 4 photos\n"
    assert [line[:7] for line in result.out.splitlines()] == ["same   "] * 2 + [""] + [
        "same   "
    ] * 2
    lines = run(capsys, "duplicates", "--json").out.splitlines()
    groups = [json.loads(line)["photos"] for line in lines]
    assert [[(p["likeness"], p["same"]) for p in group] for group in groups] == [
        [(1, True)] * 2
    ] * 2
    (folder / "red again.png").unlink()
    (folder / "blue again.png").unlink()
    run(capsys, "index", folder)
    none = run(capsys, "duplicates", "--threshold", "1")
    assert none.out == "" and none.err == "no two photos are alike\n"
    assert "threshold" in run(capsys, "duplicates", "--threshold", "7").line


def test_only_the_same_content_is_said_to_be_the_same(capsys: Capture, tmp_path: Path) -> None:
    first = photo(tmp_path / "some" / "a.png")
    Image.open(first).save(first.with_name("b.png"), compress_level=0)
    run(capsys, "index", first.parent)
    lines = run(capsys, "duplicates", "--threshold", "1").out.splitlines()
    assert [line[:7] for line in lines] == ["same   ", "0.999  "]
    (one, other) = json.loads(run(capsys, "duplicates", "--json").out)["photos"]
    assert (one["likeness"], one["same"]) == (1, True)
    assert (other["likeness"], other["same"]) == (0.9999, False)


def test_album_tells_what_there_is(capsys: Capture, indexed: Path) -> None:
    shutil.copy2(indexed / "red" / "1.png", indexed / "copy.png")
    run(capsys, "index")
    run(capsys, "index", indexed / "red", "--album", "red ones")
    shown_ = run(capsys, "album").out
    for text in ("46, 1 of them copies", "mobileclip2-nano", str(indexed), "red ones", "MB in"):
        assert text in shown_
    record = json.loads(run(capsys, "album", "--album", "red ones", "--json").out)
    assert record["photos"] == 15 and record["folders"] == [str(indexed / "red")]
    assert record["bytes"] > 1000 and record["others"] == ["default"]


def test_a_folder_can_be_forgotten(capsys: Capture, indexed: Path) -> None:
    assert run(capsys, "album", "--forget", indexed / "red").out == "15 photos left album default\n"
    assert not any("/red/" in path for path in found(run(capsys, "search", "red", "--all")))
    assert run(capsys, "album", "--forget", indexed / "nothing").code == 2
    assert run(capsys, "index").out == "album default: 30 photos (30 unchanged)\n"
    assert f"without  {indexed / 'red'}\n" in run(capsys, "album").out
    assert run(capsys, "album", "--forget", indexed).code == 0
    assert "say which folder" in run(capsys, "index").line


@pytest.mark.skipif(sys.platform == "win32", reason="names of POSIX")
def test_odd_names_are_printed_safely(capsys: Capture, tmp_path: Path) -> None:
    odd = [b"new\nline.png", "🐶 dog.png".encode(), b"latin \xe9.png", b"esc\x1b[31m.png"]
    for name in odd:
        shutil.copy2(photo(tmp_path / "a.png"), tmp_path / os.fsdecode(name))
    run(capsys, "index", tmp_path)
    paths = found(run(capsys, "search", "red", "--all"))
    assert len(paths) == 5 and not any("\x1b" in path for path in paths)
    assert any(path.endswith("new\\nline.png'") for path in paths)
    assert any(path.endswith("latin \\351.png'") for path in paths)
    lines = run(capsys, "search", "red", "--all", "--json").out.splitlines()
    records = [json.loads(line) for line in lines]
    raw = {
        os.path.basename(
            bytes.fromhex(r["path_bytes"]) if "path_bytes" in r else r["path"].encode()
        )
        for r in records
    }
    assert raw == {*odd, b"a.png"} and any("🐶" in line for line in lines)
    assert run(capsys, "search", "red", "--all", "--html", tmp_path / "p.html").code == 0


def test_a_shell_reads_back_what_is_shown() -> None:
    for path in ("plain.jpg", "it's\n.jpg", "back\\slash\t.jpg", "bad\udcff.jpg", "\x1b[0m"):
        text = shown(path)
        assert text.isprintable()
        if text != path and (bash := shutil.which("bash")):
            import subprocess

            done = subprocess.run([bash, "-c", f"printf %s {text}"], capture_output=True)
            assert done.stdout == path.encode("utf-8", "surrogateescape")
    assert path_fields("a.jpg") == {"path": "a.jpg"}


def test_a_real_model_from_end_to_end(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.test_mobileclip import pictures, published

    monkeypatch.undo()
    monkeypatch.setenv("GALAGO_ALBUMS", str(tmp_path / "albums"))
    clip = published(tmp_path / "clip")
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
