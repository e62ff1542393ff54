"""Which shards a place becomes, and what is in each."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from galago.errors import OptionError
from galago.train.clip.shelf import lies_in, name_of
from galago.train.clip.sources import Task, cut_of, given, tasks


def png(colour: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 16), (colour, 90, 200)).save(stream, "png")
    return stream.getvalue()


def tar(path: Path, parts: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as whole:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            whole.addfile(entry, io.BytesIO(data))
    return path


def said(task: Task) -> list[tuple[str, str, str]]:
    return [(one.key, one.text, one.fault) for one in given(task)]


def test_tars_are_a_task_each_and_keep_their_names_and_keys(tmp_path: Path) -> None:
    label = json.dumps({"label": "cup"}).encode()
    tar(
        tmp_path / "b.tar",
        {"k1.png": png(), "k1.txt": b"a red cup", "k2.png": png(1), "k2.json": label},
    )
    tar(tmp_path / "a.tar", {"x.png": png(2), "x.txt": b"two"})
    found = tasks(str(tmp_path), 1)
    assert [(one.name, one.stop) for one in found] == [("a.tar", None), ("b.tar", None)]
    assert said(found[1]) == [("k1", "a red cup", ""), ("k2", "a photo of a cup.", "")]
    assert next(iter(given(found[0]))).data == png(2)


def test_rows_are_cut_into_shards_and_labels_become_captions(tmp_path: Path) -> None:
    for name, count in (("cup", 3), ("jug", 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.png").write_bytes(png(number))
    found = tasks(str(tmp_path), 2)
    assert [(one.name, one.start, one.stop) for one in found] == [
        ("00000.tar", 0, 2), ("00001.tar", 2, 4), ("00002.tar", 4, 5),
    ]  # fmt: skip
    rows = [row for task in found for row in said(task)]
    assert [row[0] for row in rows] == [f"{number:09}" for number in range(5)]
    assert {row[1] for row in rows} == {"a photo of a cup.", "a photo of a jug."}


def test_a_folder_of_pictures_has_no_captions(tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    for name in ("a.png", "trip/b.png", "trip/.hidden.png"):
        (tmp_path / name).write_bytes(png())
    (tmp_path / "notes.md").write_text("no picture")
    (task,) = tasks(str(tmp_path), 10)
    assert task.plain and [(one.key, one.where, one.text) for one in given(task)] == [
        ("000000000", "a.png", ""), ("000000001", "trip/b.png", ""),
    ]  # fmt: skip


def test_a_row_that_cant_be_read_has_a_fault_and_the_rest_comes(tmp_path: Path) -> None:
    lines = [
        {"image": "a.png", "caption": "one"},
        {"image": "missing.png", "caption": "two"},
        {"image": "a.png", "caption": ["three"]},
        {"image": ["a.png", "a.png"], "caption": "four"},
        {"caption": "five"},
    ]
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (task,) = tasks(str(tmp_path / "rows.jsonl"), 10)
    found = said(task)
    assert [text for _, text, fault in found if not fault] == ["one"]
    faults = [fault for _, _, fault in found if fault]
    assert len(faults) == 4 and "no such picture" in faults[0] and "2 pictures" in faults[2]
    assert all("\n" not in fault for fault in faults)


def test_a_tar_that_is_cut_short_is_a_line(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"x.png": png(), "x.txt": b"two"})
    path.write_bytes(path.read_bytes()[:700])
    (task,) = tasks(str(path), 1)
    with pytest.raises(OptionError, match="a.tar is no tar, a compressed or a damaged one"):
        list(given(task))


@pytest.mark.parametrize("place", ("nowhere", "nowhere.tar", "empty"))
def test_a_place_without_pictures_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match=place):
        tasks(str(tmp_path / place), 1)


def test_the_shard_of_a_tar_in_capitals_is_one_that_training_finds(tmp_path: Path) -> None:
    tar(tmp_path / "A.TAR", {"x.png": png(), "x.txt": b"two"})
    (task,) = tasks(str(tmp_path), 1)
    assert task.name == "A.tar" and said(task) == [("x", "two", "")] and cut_of(task) is None
    tar(tmp_path / "A.tar", {"x.png": png(), "x.txt": b"two"})
    with pytest.raises(OptionError, match="would be one shard: rename one"):
        tasks(str(tmp_path), 1)


def test_a_folder_that_changes_while_it_is_read_is_a_line(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(png())
    first, second = tasks(str(tmp_path), 2)
    assert cut_of(first) == cut_of(second) == {"of": tmp_path.name, "count": 3, "rows": 2}
    assert len(said(first)) == 2
    (tmp_path / "a.png").unlink()
    with pytest.raises(OptionError, match="had 3 pictures as this began, and has 2"):
        said(second)


def test_what_an_address_asks_for_is_no_part_of_a_name() -> None:
    place = "s3://bucket/in/0.tar?endpoint_override=http://here:9000"
    assert name_of(place) == "0.tar" and name_of("/home/what?/0.tar") == "0.tar"
    out = "s3://bucket/in?endpoint_override=http://here:9000"
    assert lies_in(place, out) and not lies_in(place, "s3://bucket/in?region=eu")
    assert not lies_in(place, out.replace("/in", "")) and not lies_in("/in/0.tar", "/in")
