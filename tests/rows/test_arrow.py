"""Data sets of Hugging Face's `datasets` on disk; skipped where the package isn't."""

from __future__ import annotations

import builtins
import pickle
from pathlib import Path
from typing import Any

import pytest

from galago.errors import ImageError, MissingExtraError, OptionError
from galago.rows.arrow import is_arrow, read_arrow
from galago.rows.read import read_data
from galago.rows.records import Reading
from galago.rows.rows import RowError, Turn
from galago.specs import ImageSpec
from tests.helpers.rows import paint

SPEC = ImageSpec(64, min_side=64)


@pytest.fixture
def datasets() -> Any:
    return pytest.importorskip("datasets")


def stored(datasets: Any, folder: Path, columns: dict[str, list[Any]], **kinds: Any) -> Path:
    """A data set in a folder, its columns of the kinds that are named."""
    made = datasets.Dataset.from_dict(columns)
    for name, kind in kinds.items():
        made = made.cast_column(name, kind)
    made.save_to_disk(folder)
    return folder


def test_pictures_in_the_data(tmp_path: Path, datasets: Any) -> None:
    files = [str(paint(tmp_path / f"{at}.png", at)) for at in range(4)]
    folder = stored(
        datasets,
        tmp_path / "set",
        {
            "image": files[:2],
            "label": [1, 0],
            "junk": [[1.0], [2.0]],
        },
        image=datasets.Image(),
        label=datasets.ClassLabel(names=["red_fox", "cat"]),
    )
    for name in files[:2]:
        Path(name).unlink()  # they are in the data now
    data = read_data(str(folder))
    assert data.kind == "a data set of Hugging Face" and data.asks
    rows = [data.rows[at] for at in range(2)]
    assert rows[0].turns == (Turn("What is this?", "cat"),)
    assert rows[1].turns == (Turn("What is this?", "red fox"),)
    assert [row.where for row in rows] == ["set:1", "set:2"]
    again = pickle.loads(pickle.dumps(data.rows))[1].pictures[0]
    assert again.square(SPEC)[32, 32].tolist() == [37, 91, 53]
    assert again.digest() != rows[0].pictures[0].digest()
    assert read_data(str(folder), question="Animal?").rows[0].turns[0].question == "Animal?"


def test_a_row_holds_no_picture(tmp_path: Path, datasets: Any) -> None:
    file = str(paint(tmp_path / "0.png"))
    columns = {"image": [file], "label": ["cat"], "mask": [file], "task": ["animals"]}
    kinds = {"image": datasets.Image(), "mask": datasets.Image()}
    row = read_data(str(stored(datasets, tmp_path / "set", columns, **kinds))).rows[0]
    assert row.record == {"label": "cat", "task": "animals"} and len(row.pictures) == 1


def test_a_picture_that_is_empty(tmp_path: Path, datasets: Any) -> None:
    file = str(paint(tmp_path / "0.png"))
    made = datasets.Dataset.from_dict({"images": [[file, None]], "label": ["cat"]})
    made.cast_column("images", datasets.List(datasets.Image())).save_to_disk(tmp_path / "set")
    with pytest.raises(RowError, match="set:1: its picture 2 is empty"):
        read_data(str(tmp_path / "set")).rows[0]


def test_talks_with_several_pictures_and_splits(tmp_path: Path, datasets: Any) -> None:
    files = [str(paint(tmp_path / f"{at}.png", at)) for at in range(3)]
    talk = [
        {
            "role": "user",
            "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "A dog."}]},
    ]
    train = datasets.Dataset.from_dict(
        {"images": [files[:1], files[1:2]], "messages": [talk, talk]}
    )
    train = train.cast_column("images", datasets.List(datasets.Image()))
    both = datasets.DatasetDict({"train": train, "test": train.select([0])})
    both.save_to_disk(tmp_path / "set")
    data = read_data(str(tmp_path / "set"))
    assert len(data.rows) == 2 and not data.asks
    assert data.notes == ("of the splits the one called train is read, without test",)
    row = data.rows[1]
    assert row.turns == (Turn("<image>\nWhat?", "A dog."),)
    assert row.pictures[0].square(SPEC)[32, 32].tolist() == [37, 91, 53]


def test_pictures_named_by_their_files(tmp_path: Path, datasets: Any) -> None:
    paint(tmp_path / "photos" / "a.png", 1)
    columns = {"image": ["a.png"], "question": ["What?"], "answer": ["Teal."]}
    folder = stored(datasets, tmp_path / "set", columns)
    data = read_data(str(folder), images=str(tmp_path / "photos"))
    assert data.rows[0].pictures[0].square(SPEC)[32, 32].tolist() == [37, 91, 53]


def test_what_is_no_such_data(tmp_path: Path, datasets: Any) -> None:
    odd = stored(datasets, tmp_path / "odd", {"foo": [1]})
    with pytest.raises(OptionError, match="odd: none of foo is an answer"):
        read_data(str(odd))
    other = datasets.Dataset.from_dict({"label": ["a"]})
    datasets.DatasetDict({"a": other, "b": other}).save_to_disk(tmp_path / "splits")
    with pytest.raises(OptionError, match="has the splits a, b: give one"):
        read_data(str(tmp_path / "splits"))
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "state.json").write_text("{}")
    assert is_arrow(str(bad)) and not is_arrow(str(tmp_path))
    with pytest.raises(OptionError, match="bad can't be read as a data set"):
        read_data(str(bad))


def test_a_damaged_picture_is_told(tmp_path: Path, datasets: Any) -> None:
    picture = {"bytes": b"no picture", "path": "x.png"}
    made = datasets.Dataset.from_dict(
        {"image": [picture], "label": ["a"]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")}),
    )
    made.save_to_disk(tmp_path / "set")
    photo = read_data(str(tmp_path / "set")).rows[0].pictures[0]
    with pytest.raises(ImageError, match=r"set:1 \(x.png\) is not a picture"):
        photo.square(SPEC)


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state.json").write_text("{}")
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        MissingExtraError, match="the package datasets reads; to install the extra finetune"
    ):
        read_arrow(str(tmp_path), Reading(""))
