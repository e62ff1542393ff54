"""clip_benchmark's data sets, opened without fetching or unpickling anything."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest

from galago.errors import OptionError
from galago.evaluate.clip.library import drawn, groups_of, open_set
from galago.evaluate.clip.sets import DATACOMP, Place, chosen, find_place
from tests.helpers.clipsets import captions_folder, captions_tars, labels_tars, picture

pytest.importorskip("clip_benchmark")
BY_NAME = {one.name: one for one in DATACOMP}


def place_of(folder: Path) -> Place:
    (one,) = chosen([], folder)
    place = find_place(one, folder)
    assert place is not None
    return place


def red_and_blue(folder: Path, count: int = 5, **more: object) -> Path:
    samples = [(picture(number), number % 2) for number in range(count)]
    return labels_tars(folder, samples, ["red", "blue"], ["a {c}.", "{c}"], **more)  # type: ignore[arg-type]


def test_labels_in_order_over_several_tars(tmp_path: Path) -> None:
    opened = open_set(place_of(red_and_blue(tmp_path / "mine")))
    assert (opened.count, opened.classes, opened.captions) == (5, ("red", "blue"), False)
    assert opened.templates == ["a {c}.", "{c}"]
    found = list(drawn(opened, None))
    assert [label for _, label in found] == [0, 1, 0, 1, 0]
    assert [pixels.shape for pixels, _ in found] == [(40 + n % 3, 48, 3) for n in range(5)]
    (third, fifth) = drawn(open_set(place_of(tmp_path / "mine")), [2, 4])
    assert np.array_equal(third[0], found[2][0]) and np.array_equal(fifth[0], found[4][0])


def test_captions_as_tars_and_as_cocos_files(tmp_path: Path) -> None:
    samples = [(_jpeg(n), [f"number {n}", f"the {n}th"]) for n in range(3)]
    tars = captions_tars(tmp_path / "wds_mscoco_captions", samples)
    files = captions_folder(tmp_path / "files" / "mscoco_captions", samples)
    one = BY_NAME["mscoco_captions"]
    found = [
        list(drawn(open_set(Place(one, tars, True)), None)),
        list(drawn(open_set(Place(one, files, False)), None)),
    ]
    for (pixels, texts), (theirs, captions) in zip(*found, strict=True):
        assert np.array_equal(pixels, theirs) and texts == captions
    assert [texts for _, texts in found[0]] == [texts for _, texts in samples]


def test_flickr30k_as_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "flickr30k"
    folder.mkdir()
    lines = ["image,caption"]
    for number in range(2):
        (folder / f"{number}.jpg").write_bytes(_jpeg(number))
        lines += [f"{number}.jpg,number {number}, a thing", f"{number}.jpg,another"]
    (folder / "flickr30k_test_karpathy.txt").write_text("\n".join(lines) + "\n")
    found = list(drawn(open_set(place_of(folder)), None))
    assert [texts for _, texts in found] == [
        ["number 0, a thing", "another"],
        ["number 1, a thing", "another"],
    ]


def test_imagenet_as_folders(tmp_path: Path) -> None:
    for number in range(1000):  # the reader counts folders and asks for no names
        folder = tmp_path / "imagenet1k" / "val" / f"n{number:08}"
        folder.mkdir(parents=True)
        (folder / "0.png").write_bytes(picture(number % 2))
    opened = open_set(place_of(tmp_path))
    assert opened.classes[:2] == ("tench", "goldfish") and len(opened.classes) == 1000
    assert opened.count == 1000 and len(opened.templates) == 80
    assert [label for _, label in drawn(opened, [1])] == [1]


def test_pictures_are_turned_by_nobody(tmp_path: Path) -> None:
    """The field's loaders don't look at EXIF either."""
    samples = [(_jpeg(0, turned=True), ["x"])]
    opened = open_set(place_of(captions_tars(tmp_path / "flickr30k", samples)))
    assert [pixels.shape for pixels, _ in drawn(opened, None)] == [(40, 48, 3)]


def test_pickles_in_a_tar_stay_bytes(tmp_path: Path) -> None:
    class Opened:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    evil = dict.fromkeys(("pkl", "pyd", "pickle", "pth"), pickle.dumps(Opened()))
    opened = open_set(place_of(red_and_blue(tmp_path / "mine", extra=evil)))
    assert len(list(drawn(opened, None))) == 5
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", [one.name for one in DATACOMP if one.folder])
def test_nothing_is_fetched_for_files_that_are_missing(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[object] = []

    def connect(*what: object, **_: object) -> None:
        went.append(what)
        raise OSError("no way out")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr("subprocess.Popen", connect)
    monkeypatch.setattr("os.popen", connect)
    monkeypatch.setattr("os.system", connect)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OptionError, match=f"folder isn't whole as {name}: "):
        open_set(Place(BY_NAME[name], tmp_path / "folder", False))
    assert not went and os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("classnames.txt", "classnames.txt is missing"),
        ("zeroshot_classification_templates.txt", "templates.txt is missing"),
        ("test/1.tar", "isn't whole: .*1.tar"),
    ],
)
def test_a_set_that_isnt_whole(tmp_path: Path, missing: str, words: str) -> None:
    place = place_of(red_and_blue(tmp_path / "mine"))
    (tmp_path / "mine" / missing).unlink()
    with pytest.raises(OptionError, match=words):
        open_set(place)


def test_a_picture_that_is_none(tmp_path: Path) -> None:
    samples = [(picture(0), 0), (picture(1)[:60], 0)]
    labels_tars(tmp_path / "mine", samples, ["red"], ["{c}"], tars=1)
    with pytest.raises(OptionError, match="the picture behind the first 1: "):
        list(drawn(open_set(place_of(tmp_path / "mine")), None))


def test_a_path_that_webdataset_would_read_otherwise(tmp_path: Path) -> None:
    place = place_of(red_and_blue(tmp_path / "{mine}"))
    with pytest.raises(OptionError, match=r"name it without '\{'"):
        open_set(place)


def test_groups_are_the_first_numbers_of_the_metadata(tmp_path: Path) -> None:
    metadata = [[number % 3, 9] for number in range(5)]
    folder = red_and_blue(tmp_path / "mine", metadata=metadata)
    assert groups_of(folder, None).tolist() == [0, 1, 2, 0, 1]
    assert groups_of(folder, [1, 4]).tolist() == [1, 1]
    assert open_set(place_of(folder)).count == 5
    with pytest.raises(OptionError, match="no metadata"):
        groups_of(red_and_blue(tmp_path / "without"), None)


def _jpeg(number: int, turned: bool = False) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    opened = Image.open(io.BytesIO(picture(number)))
    opened.save(out, "jpeg", exif=exif)
    return out.getvalue()


def test_folders_of_some_classes_are_not_whole(tmp_path: Path) -> None:
    for name in ("n02123045", "n02504458"):
        folder = tmp_path / "imagenet1k" / "val" / name
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(_jpeg(1))
    with pytest.raises(OptionError, match="2 folders of 1000 classes"):
        open_set(Place(BY_NAME["imagenet1k"], tmp_path / "imagenet1k", False))


def test_a_benchmark_by_itself_is_that_benchmark(tmp_path: Path) -> None:
    folder = red_and_blue(tmp_path / "wds_vtab-pets_test")
    assert place_of(folder).of.name == "vtab/pets"
