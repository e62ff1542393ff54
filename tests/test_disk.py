"""What is kept on disk: whole or not at all, the newest, one process at a time, told in a line."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from galago.disk import (
    discard_folder,
    is_regular,
    keep_newest,
    one_at_a_time,
    optional_json,
    read_json,
    refusal,
    refusals,
    whole_file,
    whole_folder,
)
from galago.errors import CheckpointError, ImageError, StorageError


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


# -- whole or not at all ---------------------------------------------------------------------------


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("wrong", [KeyboardInterrupt(), error(errno.ENOSPC)])
def test_a_file_that_is_not_whole_leaves_the_old_one(tmp_path: Path, wrong: BaseException) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"old")
    with pytest.raises(type(wrong)), whole_file(path) as file:
        file.write(b"half")
        raise wrong
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions differ on Windows")
def test_a_private_file_is_for_nobody_else(tmp_path: Path) -> None:
    with whole_file(tmp_path / "mine", private=True) as file:
        file.write(b"x")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600


def test_a_long_name_has_room_for_what_is_not_whole_yet(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    with whole_file(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_a_folder_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "in" / "it"
    for content in ("first", "second"):
        with whole_folder(path) as folder:
            assert folder.parent == path.parent
            (folder / content).touch()
        assert [file.name for file in path.iterdir()] == [content]
    with pytest.raises(KeyboardInterrupt), whole_folder(path) as folder:
        (folder / "third").touch()
        raise KeyboardInterrupt
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "file").touch()
    (tmp_path / ".it.old.part").mkdir()  # what a removal that was broken off left
    for _ in range(2):
        discard_folder(tmp_path / "it")
        assert list(tmp_path.iterdir()) == []


def test_the_newest_stay_and_what_killed_processes_left_goes(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.kept").touch()
        os.utime(tmp_path / f"{number}.kept", (number, number))
    (tmp_path / "other").touch()
    (tmp_path / ".now.part").touch()
    (tmp_path / ".long ago.part").touch()
    os.utime(tmp_path / ".long ago.part", (0, 0))
    keep_newest(tmp_path, "*.kept", 2)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".now.part", "3.kept", "4.kept", "other"]


def test_one_at_a_time_says_once_that_it_waits(tmp_path: Path) -> None:
    other, told = FileLock(tmp_path / "lock"), []

    def waiting() -> None:
        told.append("waiting")
        other.release()

    other.acquire()
    with one_at_a_time(tmp_path / "lock", waiting):
        assert told == ["waiting"]
    with one_at_a_time(tmp_path / "lock", waiting):
        assert told == ["waiting"], "nobody holds it"


def test_who_waits_may_leave(tmp_path: Path) -> None:
    waits: list[int] = []

    def still() -> None:
        waits.append(1)
        if len(waits) > 1:
            raise KeyboardInterrupt

    other = FileLock(tmp_path / "lock")
    lock = tmp_path / "lock"
    with other, pytest.raises(KeyboardInterrupt), one_at_a_time(lock, lambda: None, still):
        pytest.fail("it was held")
    assert len(waits) == 2


# -- what the disk refuses -------------------------------------------------------------------------


def test_a_full_disk_a_closed_one_and_any_other_fault() -> None:
    assert {refusal(error(n)) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)} == {"full"}
    assert {refusal(error(n)) for n in (errno.EACCES, errno.EROFS, errno.ENOTDIR)} == {"closed"}
    assert refusal(error(errno.EIO)) is None


@pytest.mark.parametrize(
    ("number", "line"),
    [(errno.ENOSPC, "make room"), (errno.EACCES, "another folder"), (errno.EIO, "odd: ")],
)
def test_each_refusal_has_its_line(number: int, line: str) -> None:
    with (
        pytest.raises(StorageError, match=line),
        refusals(full="make room", closed="another folder", other=lambda e: f"odd: {e}"),
    ):
        raise error(number)


def test_what_has_no_line_passes() -> None:
    for number in (errno.EACCES, errno.EIO):
        with pytest.raises(OSError, match=os.strerror(number)), refusals(full="make room"):
            raise error(number)
    with pytest.raises(StorageError, match="odd"), refusals(full="", other=lambda _: "odd"):
        raise error(errno.EACCES)
    told = ImageError("already told")
    with pytest.raises(ImageError, match="already told"), refusals(full="make room"):
        raise told


# -- files of others -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a": Infinity}', "Infinity is no number"),
        (b'{"a": [NaN]}', "NaN is no number"),
        (b'{"a": 1e999}', "too large a number"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "nested too deeply"),
        (b"\xff\xfe{}", "cannot be read as JSON"),
        (b'{"a": "\\ud800"}', "cannot be read as JSON"),
        (b'{"a": "' + b"x" * (5 << 20) + b'"}', "more than 4194304 bytes"),
        (b"[1, 2]", "does not hold a JSON object"),
        (b"", "cannot be read as JSON"),
    ],
    ids=lambda part: ascii(part[:20]),
)
def test_json_that_no_model_has(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=told) as refused:
        read_json(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_json_of_a_model(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5, null, {"b": "\xc3\xa9"}], "c": NaN}')
    found = read_json(path, finite=False)
    assert found["a"] == [1, 2.5, None, {"b": "é"}] and found["c"] != found["c"]
    assert optional_json(tmp_path / "none.json") == {}
    with pytest.raises(CheckpointError, match=r"has no none\.json"):
        read_json(tmp_path / "none.json")


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder", "link"])
def test_only_regular_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A pipe waits for ever, a device never ends."""
    path = tmp_path / "config.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        listening = socket.socket(socket.AF_UNIX)
        monkeypatch.chdir(tmp_path)  # such addresses are short
        listening.bind(path.name)
        listening.close()
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    assert not is_regular(path)
    for read in (read_json, optional_json):
        with pytest.raises(CheckpointError, match="not a regular file"):
            read(path)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    assert not is_regular(tmp_path / "a\0b") and not is_regular(tmp_path / ("x" * 5000))
