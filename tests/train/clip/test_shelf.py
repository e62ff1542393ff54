"""Shards in a bucket that this machine plays: IN, OUT and lessons (needs moto and pyarrow)."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from galago.errors import GalagoError, OptionError, StorageError
from galago.scale import addresses
from galago.train.clip.recipe import Recipe, read_teachers
from galago.train.clip.reinforce import Reinforced, reinforce
from galago.train.clip.shelf import Bucket, Folder, fetched, opened_far, shelf_of, tars
from galago.train.clip.sources import given, tasks
from tests.helpers.buckets import Played, played
from tests.helpers.reinforced import write_shards

RECIPE = Recipe(("galago:mobileclip2-nano",), augmentations=2, batch=2)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(addresses, "_FIRST_WAIT", 0.01)
    with played(monkeypatch) as found:
        for number in range(2):
            found.put(f"in/{number}.tar", packed(number))
        yield found


def packed(number: int) -> bytes:
    """A tar of two pictures with captions."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for key in ("a", "b"):
            picture = io.BytesIO()
            Image.new("RGB", (60, 50), (90 * number, 80 * (key == "a"), 50)).save(picture, "png")
            for kind, data in (("png", picture.getvalue()), ("txt", f"{key} {number}".encode())):
                entry = tarfile.TarInfo(f"{number}{key}.{kind}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def test_tars_of_a_bucket_are_tasks_and_read_in_pieces(
    bucket: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tars("s3://photos/in") == ["s3://photos/in/0.tar", "s3://photos/in/1.tar"]
    first, second = tasks("s3://photos/in", 10)
    assert (first.name, second.place) == ("0.tar", "s3://photos/in/1.tar")
    assert [(one.key, one.text) for one in given(second)] == [("1a", "a 1"), ("1b", "b 1")]
    (alone,) = tasks("s3://photos/in/1.tar?region=us-east-1", 10)
    assert alone.name == "1.tar" and alone.place.endswith("?region=us-east-1")
    monkeypatch.setattr("galago.train.clip.shelf._PIECE", 100)
    with opened_far("s3://photos/in/0.tar") as stream:
        assert stream.read(7) + stream.read() == packed(0)
    with fetched("s3://photos/in/0.tar", tmp_path) as copy:
        assert copy.read_bytes() == packed(0)
    assert not copy.exists()


def test_what_isnt_in_a_bucket_is_a_line(bucket: Played) -> None:
    bucket.put("pictures/a.jpg", b"x")
    for place, told in (
        ("s3://photos/nothing", "s3://photos/nothing"),
        ("s3://photos/pictures", "holds no tars: of a bucket these are read"),
    ):
        with pytest.raises(OptionError, match=told):
            tasks(place, 10)
    with pytest.raises(OptionError, match="s3://photos/in/9.tar is not there"):
        list(given(tasks("s3://photos/in", 10)[0].__class__("9.tar", "s3://photos/in/9.tar")))
    with pytest.raises(OptionError, match="a page's address: give a folder or a bucket"):
        shelf_of("https://host/out")


def test_a_bucket_takes_whole_files_and_tells_them(bucket: Played) -> None:
    shelf = Bucket("s3://photos/out")
    assert shelf.there() == set() and shelf.told("a.json") == {}
    with pytest.raises(ZeroDivisionError), shelf.writing("a.json"):
        raise ZeroDivisionError
    assert shelf.there() == set()
    refused = iter([True, True])
    bucket.refusing = lambda asked: asked.startswith("PUT") and next(refused, False)
    with shelf.writing("a.json") as file:
        file.write(b'{"x": 1}')
    assert len(bucket.refused) == 2  # and it was asked again
    assert shelf.there() == {"a.json"} and shelf.told("a.json") == {"x": 1}
    bucket.refusing = lambda asked: asked.startswith("PUT")
    with (
        pytest.raises(StorageError, match="s3://photos/out .* is kept, run the same again"),
        shelf.writing("b.json") as file,
    ):
        file.write(b"{}")
    assert shelf.there() == {"a.json"}


def test_what_killed_processes_leave_in_a_folder_goes_before_and_behind_the_work(
    tmp_path: Path,
) -> None:
    left, others = tmp_path / ".0.tar.abcd.part", tmp_path / ".1.tar.abcd.part"
    for path in (left, others):
        path.write_bytes(b"half")
    with Folder(tmp_path).alone(["0.tar"]):
        assert not left.exists()
        left.write_bytes(b"half of it again")
    assert not left.exists() and others.exists()  # another machine's share


@pytest.mark.slow
@pytest.mark.model
def test_a_bucket_is_reinforced_into_a_bucket_and_continued_where_it_threw_us_out(
    bucket: Played, tmp_path: Path
) -> None:
    for number in range(2):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.tar").write_bytes(packed(number))
    reinforce(tasks(str(tmp_path / "in"), 10), tmp_path / "out", RECIPE, 1)

    def run() -> Reinforced:
        return reinforce(tasks("s3://photos/in", 10), "s3://photos/out", RECIPE, 1)

    bucket.refusing = lambda asked: asked == "PUT /photos/out/1.tar"
    with pytest.raises(GalagoError, match="s3://photos/out .* is kept, run the same again"):
        run()
    assert "out/0.tar" in bucket.keys("out/") and "out/1.tar" not in bucket.keys("out/")
    bucket.refusing = lambda _: False
    found = run()
    assert (found.made, found.found, found.rows, found.folder) == (1, 1, 4, "s3://photos/out")
    for number in range(2):
        made = (tmp_path / "out" / f"{number}.tar").read_bytes()
        assert bucket.get(f"out/{number}.tar") == made
    assert read_teachers(Bucket("s3://photos/out")) == read_teachers(Folder(tmp_path / "out"))
    with pytest.raises(OptionError, match="augmentations 2, and now it is 3: give the same"):
        other = Recipe(RECIPE.teachers, augmentations=3)
        reinforce(tasks("s3://photos/in", 10), "s3://photos/out", other, 1)
    with pytest.raises(OptionError, match="OUT is IN, s3://photos/in"):
        reinforce(tasks("s3://photos/in", 10), "s3://photos/in", RECIPE, 1)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_student_learns_the_same_of_a_bucket(
    bucket: Played, tmp_path: Path, workers: int
) -> None:
    for name in ("torch", "open_clip", "webdataset"):
        pytest.importorskip(name)
    from galago.train.clip.options import ClipOptions
    from galago.train.clip.train import ClipJob, train_clip
    from tests.helpers.reinforced import TINY

    (tmp_path / "tiny.toml").write_text(TINY)
    here = write_shards(tmp_path / "shards", [6, 6])
    for path in here.iterdir():
        bucket.put(f"shards/{path.name}", path.read_bytes())
    options = ClipOptions(batch=4, steps=3, warmup=1, workers=workers)

    def losses(place: str, out: str) -> list[float]:
        train_clip(ClipJob(place, tmp_path / out, options, str(tmp_path / "tiny.toml")))
        lines = (tmp_path / out / "training.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    found = losses("s3://photos/shards", "far")
    assert found == losses(str(here), "near") and len(found) == 3
    if not workers:
        braces = ClipJob(
            "s3://photos/shards/{00000..00001}.tar", tmp_path / "braces", options,
            str(tmp_path / "tiny.toml"), dims=(6, 5), scales=(20.0, 20.0),
        )  # fmt: skip
        assert train_clip(braces) is not None
        with pytest.raises(OptionError, match="elsewhere and --offline exclude each other"):
            train_clip(ClipJob("s3://photos/shards", tmp_path / "x", options, offline=True))
