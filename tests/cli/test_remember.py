"""`galago watch --album` and `galago forget`: what a person types and sees."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image, ImageGrab

from galago import memory
from galago.album import Store
from galago.album.forgetting import keep_of
from galago.album.keeper import Keeper
from galago.album.store import write_lock
from galago.errors import StorageError
from tests.helpers.albums import FakeClip, Models, check, photo
from tests.helpers.captions import records
from tests.helpers.commandline import run
from tests.helpers.scenes import NOON, scenes, sight

pytest.importorskip("av", reason="the extra `video` is not installed")

Capture = pytest.CaptureFixture[str]
SHORT = ("--max-tokens", "4")


@pytest.fixture
def door(tmp_path: Path, models: Models) -> Path:
    """Where the album called door will be."""
    return tmp_path / "albums" / "door"


@pytest.fixture
def seen(door: Path) -> Path:
    """The same album, which has seen two scenes."""
    keeper = Keeper(door, FakeClip("fake-1"), "mobileclip2-nano")
    keeper.keep(sight("red"), "red coat \x1b[2J at the door", NOON)
    keeper.keep(sight("green"), "green leaves", NOON.replace(hour=13))
    keeper.close()
    return door


def test_scenes_of_a_video_have_its_times(
    capsys: Capture, ready: Path, clip: Path, door: Path, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(clip, path)
    written = datetime(2026, 5, 1, 12, 0, 9).timestamp()  # it has nine seconds
    os.utime(path, (written, written))
    result = run(capsys, "watch", path, "-m", ready, *SHORT, "--json", "--stats", "--album", "door")
    assert result.code == 0
    captions = {
        record["start"]: " ".join(str(record["text"]).split()) for record in records(result.out)
    }
    found = scenes(door)
    assert [taken for _, taken, _ in found] == [f"2026-05-01 12:00:0{at}" for at in (0, 3, 6)]
    assert found[0][2] == captions[0], "the words of that picture"
    colours = [
        Image.open(one).resize((1, 1)).getpixel((0, 0)) for one in sorted(door.rglob("*.jpg"))
    ]
    assert len(set(colours)) == 3, "the picture that was described"
    place = door / "seen"
    assert f"picture, caption and time stay in {place} until you forget it" in result.err
    assert "galago forget --last 1h --album door" in result.err
    assert "3 scenes remembered" in result.err
    check(door)


def test_nothing_is_kept_unless_asked(
    capsys: Capture,
    ready: Path,
    clip: Path,
    door: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even when the person's settings name an album."""
    (tmp_path / "config.toml").write_text('album = "door"\n')
    monkeypatch.setenv("GALAGO_CONFIG", str(tmp_path / "config.toml"))
    assert run(capsys, "watch", clip, "-m", ready, *SHORT).code == 0
    assert not door.parent.exists()


def test_the_screen_has_the_time_of_now_and_only_what_is_new(
    capsys: Capture, ready: Path, door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = iter(["red", "red", "blue", "blue"])

    def grab() -> Image.Image:
        color = next(shown, None)
        if color is None:
            raise KeyboardInterrupt
        return Image.new("RGB", (64, 64), color)

    monkeypatch.setattr(ImageGrab, "grab", grab)
    before = datetime.now().replace(microsecond=0)
    more = ("--every", "10ms", "--stale", "0", "--album", "door", "--keep", "7d")
    result = run(capsys, "watch", "screen", "-m", ready, *SHORT, *more)
    assert result.code == 130 and "for 7d" in result.err
    times = [datetime.fromisoformat(taken) for _, taken, _ in scenes(door)]
    assert len(times) == 2 and all(before <= one <= datetime.now() for one in times)
    assert keep_of(door) == 7 * 86400


def test_trouble_is_told_once_and_captions_go_on(
    capsys: Capture, ready: Path, clip: Path, door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(Keeper, "_flush", refuse)
    result = run(capsys, "watch", clip, "-m", ready, *SHORT, "--stale", "0", "--album", "door")
    assert result.code == 0 and len(result.out.splitlines()) == 9
    assert result.err.count("the scene is not kept: the disk is full") == 1
    assert "the last scenes are not kept: the disk is full" in result.err


def test_an_index_run_meanwhile_is_waited_for_at_the_end(
    capsys: Capture, ready: Path, clip: Path, door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "watch", clip, "-m", ready, *SHORT, "--album", "door")
    monkeypatch.setattr(Keeper.close, "__defaults__", (0.0,))
    made = Keeper.__init__

    def begin(self: Keeper, *args: object, **more: object) -> None:
        made(self, *args, **more)  # type: ignore[arg-type]
        lock.__enter__()

    lock = write_lock(door)
    monkeypatch.setattr(Keeper, "__init__", begin)
    result = run(capsys, "watch", clip, "-m", ready, *SHORT, "--album", "door")
    lock.__exit__(None, None, None)
    assert result.code == 0 and "3 scenes are not kept: another galago" in result.err
    assert result.err.count("indexing the album: scenes wait until it ends") == 1


def test_two_models_need_memory_for_both(
    capsys: Capture, ready: Path, clip: Path, door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAGO_CLIP", "MobileCLIP2-S4")
    monkeypatch.setattr(memory, "available", lambda: 1 << 29)
    result = run(capsys, "watch", clip, "-m", ready, *SHORT, "--album", "door")
    assert result.code == 2 and "MobileCLIP2-S4-OpenCLIP needs 1.8 GB beside" in result.line
    assert not door.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--keep", "7d"], "give --album NAME, too"),
        (["--album", "door", "--keep", "a week"], "no length of time; write 90s, 45m, 1h or 7d"),
        (["--album", "a/b"], "can't be called"),
    ],
)
def test_what_is_told_before_a_model_is_loaded(
    capsys: Capture, clip: Path, more: list[str], said: str
) -> None:
    result = run(capsys, "watch", clip, *more, "-m", "apple/FastVLM-7B")
    assert result.code == 2 and said in result.line


def test_search_shows_time_and_caption(capsys: Capture, seen: Path) -> None:
    result = run(capsys, "search", "a red thing", "--album", "door", "--all", "-k", "1")
    path = seen / "seen" / "2026-11-30" / "12-00-00.jpg"
    assert result.out.split("  ", 1)[1] == (
        f"{path}  2026-11-30 12:00:00  red coat [2J at the door\n"
    )
    told = run(capsys, "search", "a red thing", "--album", "door", "--all", "-k", "1", "--json")
    record = json.loads(told.out)
    assert record["taken"] == "2026-11-30 12:00:00"
    assert record["caption"] == "red coat [2J at the door"


def test_album_tells_of_scenes(capsys: Capture, seen: Path, tmp_path: Path) -> None:
    told = json.loads(run(capsys, "album", "--album", "door", "--json").out)
    pictures = sum(path.stat().st_size for path in seen.rglob("*.jpg"))
    assert told["scenes"] == 2 and told["keep_seconds"] is None and told["bytes"] > pictures
    photo(tmp_path / "photos" / "blue.png", "blue")
    assert run(capsys, "index", tmp_path / "photos", "--album", "door").code == 0
    page = run(capsys, "album", "--album", "door").out
    assert "photos   3\n" in page and "2 of these are scenes that a camera saw\n" in page


def test_forget(capsys: Capture, seen: Path) -> None:
    result = run(capsys, "forget", "--last", "1h", "--album", "door")
    assert (result.code, result.out) == (0, "2 scenes left album door; 0 remain\n")
    again = run(capsys, "forget", "--all-seen", "--album", "door")
    assert again.out == "0 scenes left album door; 0 remain\n"


def test_forget_what_is_older(capsys: Capture, seen: Path) -> None:
    with write_lock(seen), Store.open(seen, write=True) as store:
        old = time.time_ns() - 31 * 86400 * 10**9
        store.db.execute("UPDATE photos SET mtime_ns = ? WHERE row = 0", (old,))
    result = run(capsys, "forget", "--before", "30d", "--album", "door")
    assert result.out == "1 scene left album door; 1 remain\n"
    assert [caption for _, _, caption in scenes(seen)] == ["green leaves"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "one of --last 1h, --before 30d or --all-seen"),
        (["--last", "1h", "--all-seen"], "one of"),
        (["--last", "an hour"], "write 90s, 45m, 1h or 7d"),
        (["--last", "1h", "--album", "none"], "there is no album 'none'"),
    ],
)
def test_what_cannot_be_forgotten(
    capsys: Capture, models: Models, more: list[str], said: str
) -> None:
    result = run(capsys, "forget", *more)
    assert result.code == 2 and said in result.line
