"""Teachers as processes: asked in order, kept, gone on with, and told when they break off."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from galago.errors import OptionError
from galago.train.nano.teach import __main__ as teach
from galago.train.nano.teach import workers

# Says how many bytes it was given; breaks off at "3" when it is told to.
FAKE = """
import base64, json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["key"] == sys.argv[1]:
        sys.exit(1)
    size = len(base64.b64decode(asked["picture"]))
    print(json.dumps({"key": asked["key"], "size": size}), flush=True)
"""


def shard(path: Path, count: int) -> Path:
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            stream = io.BytesIO()
            Image.new("RGB", (20, 10)).save(stream, "WEBP")
            for ending, data in (("webp", stream.getvalue()), ("json", b"{}")):
                member = tarfile.TarInfo(f"{number}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def broken_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The key at which the fake teacher breaks off, to be changed."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    key = [""]
    monkeypatch.setattr(
        teach, "command_of", lambda teacher, place: ([sys.executable, str(script), key[0]], None)
    )
    return key


def test_a_stopped_labelling_goes_on_where_it_was(tmp_path: Path, broken_at: list[str]) -> None:
    made, out = shard(tmp_path / "a.tar", 6), tmp_path / "labels"
    broken_at[0] = "3"
    with pytest.raises(OptionError, match="broke off"):
        teach.label("hands", Path(sys.executable), made, out)
    assert list(workers.read_rows(out, "hands", "a")) == ["0", "1", "2"]
    with open(workers.place_of(out, "hands", "a"), "a") as torn:
        torn.write('{"key": "3", "si')
    broken_at[0] = ""
    assert teach.label("hands", Path(sys.executable), made, out) == 3
    rows = workers.read_rows(out, "hands", "a")
    assert list(rows) == list("012345") and all(row["size"] > 20 for row in rows.values())
    assert teach.label("hands", Path(sys.executable), made, out) == 0
    for line in workers.place_of(out, "hands", "a").read_text().splitlines():
        json.loads(line)


def test_pictures_go_to_node_as_pixels() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4, 2), (1, 2, 3)).save(stream, "PNG")
    sent = workers._sent(stream.getvalue(), raw=True)
    assert (sent["width"], sent["height"]) == (4, 2) and sent["rgb"] == "AQID" * 8


@pytest.mark.parametrize("teacher", workers.SCRIPTS)
def test_a_missing_environment_is_named(teacher: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="docs/training.md"):
        workers.command_of(teacher, tmp_path / "nothing")
    assert (workers.HERE / workers.SCRIPTS[teacher]).is_file()
