"""WebDataset tars: rows by key, pictures from their places, links and tricks passed over."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError, OptionError
from galago.rows.records import Data, Reading
from galago.rows.rows import RowError, Turn
from galago.rows.tars import read_tars
from galago.specs import ImageSpec
from galago.text.presets import PRESETS
from tests.helpers.rows import llava

SPEC = ImageSpec(64, min_side=64)


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 20), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def pack(path: Path, members: dict[str, object], kind: str = "w") -> Path:
    """A tar of names with bytes, text, JSON, or a TarInfo."""
    with tarfile.open(path, kind) as tar:  # type: ignore[call-overload]
        for name, value in members.items():
            if isinstance(value, tarfile.TarInfo):
                value.name = name
                tar.addfile(value)
                continue
            data = value if isinstance(value, bytes) else None
            if data is None:
                data = (value if isinstance(value, str) else json.dumps(value)).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def read(*paths: Path, question: str | None = None) -> Data:
    return read_tars([str(path) for path in paths], str(paths[0].parent), Reading("", question))


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def test_talks_captions_and_questions(tmp_path: Path) -> None:
    one = pack(
        tmp_path / "0.tar",
        {
            "a/1.png": picture(1),
            "a/1.json": llava("ignored.png"),
            "a/2.png": picture(2),
            "a/2.txt": "A red square.\n",
            "3.png": picture(3),
            "3.json": {"question": "Which?", "answer": "Red"},
            "4.png": picture(4),
            "4.json": {"width": 20, "url": "https://x"},
            "4.txt": "Red again.",
        },
    )
    both = llava(None, question="<image><image>Differ?")
    members = {"5.left.png": picture(5), "5.right.png": picture(6), "5.json": both}
    two = pack(tmp_path / "1.tar", members)
    data = read(one, two)
    rows = [data.rows[at] for at in range(len(data.rows))]
    assert [row.where for row in rows] == [
        "0.tar:a/1",
        "0.tar:a/2",
        "0.tar:3",
        "0.tar:4",
        "1.tar:5",
    ]
    assert rows[0].turns[0].answer == "A cat."
    assert rows[1].turns == (Turn(PRESETS["describe"], "A red square.\n"),)
    assert rows[2].turns == (Turn("Which?", "Red"),)
    assert rows[3].turns[0].answer == "Red again."
    reds = [[photo.square(SPEC)[32, 32, 0] for photo in row.pictures] for row in rows]
    assert reds == [[1], [2], [3], [4], [5, 6]]
    assert pickle.loads(pickle.dumps(rows[4])) == rows[4]


def test_ones_own_question(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"1.png": picture(1), "1.txt": "Red."})
    assert read(path).asks
    data = read(path, question="Colour?")
    assert data.rows[0].turns == (Turn("Colour?", "Red."),)
    assert data.notes == ("asked about each without a question: 'Colour?'",)


def test_links_devices_and_names_are_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(picture(99))
    path = pack(
        tmp_path / "a.tar",
        {
            "1.png": link(tarfile.SYMTYPE, str(tmp_path / "secret.png")),
            "1.json": llava(str(tmp_path / "secret.png")),
            "../../2.png": picture(2),
            "../../2.txt": "Two.",
            "3.png": link(tarfile.LNKTYPE, "../../2.png"),
            "4.png": link(tarfile.CHRTYPE, ""),
            "5.png": link(tarfile.FIFOTYPE, ""),
            "folder": link(tarfile.DIRTYPE, ""),
            "6.npz": b"PK",
            "7": b"x",
            ".png": picture(7),
        },
    )
    data = read(path)
    # what stands beside it in the tar is a row's picture, and nothing that it names
    assert data.rows[0].pictures == ()
    assert list(data.rows[0].faults()) == ["1 <image> in its questions, 0 pictures to it"]
    assert data.rows[1].where == "a.tar:../../2"
    assert data.rows[1].pictures[0].square(SPEC)[32, 32, 0] == 2
    assert len(data.rows) == 2
    assert data.notes[0] == (
        "left out of the tars: 4 links and devices, 1 .npz, 1 without an extension, 1 .png"
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.tar", "secret.png"]


def test_half_samples_are_bad_rows(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "a.tar",
        {
            "1.png": picture(1),
            "2.txt": "Alone.",
            "3.png": picture(3),
            "3.json": "{no",
            "4.png": picture(3),
            "4.txt": b"\xff",
            "5.png": picture(3),
            "5.json": "[" * 100_000,
            "6.png": picture(3),
            "6.json": {"width": 3},
        },
    )
    rows = read(path).rows
    for at, said in enumerate(
        [
            "neither .json nor .txt",
            "no picture stands beside",
            "is no JSON",
            "is not UTF-8",
            "nested|no JSON",
            "none of width is an answer",
        ]
    ):
        with pytest.raises(RowError, match=f"a.tar:{at + 1}: .*({said})"):
            rows[at]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: data[:560], "ends in the middle of 1.png"),
        (lambda data: data[:1600], "damaged or cut at byte 1024|unexpected end|truncated"),
        (lambda data: data[:1024], "damaged or cut at byte 1024"),
        (lambda data: data[:1030] + b"!!!!" + data[1034:], "a damaged one|damaged or cut"),
        (lambda data: b"hello", "is no tar"),
        (lambda data: b"", "is no tar|damaged or cut"),
        (lambda data: data[:124] + b"\x80" + b"\xff" * 11 + data[136:], "a damaged one|middle of"),
    ],
)
def test_damage_is_told_and_no_row_lost(tmp_path: Path, harm: object, said: str) -> None:
    path = pack(tmp_path / "a.tar", {"1.png": picture(1), "1.txt": "Red", "2.png": picture(2)})
    path.write_bytes(harm(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(OptionError, match=said):
        read(path)


def test_compressed_tars_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"1.png": picture(1), "1.txt": "Red"}, "w:gz")
    with pytest.raises(OptionError, match="a.tar is no tar, a compressed or a damaged one"):
        read(path)


def test_a_tar_that_went_away(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"1.png": picture(1), "1.txt": "Red"})
    data = read(path)
    photo = data.rows[0].pictures[0]
    path.unlink()
    with pytest.raises(RowError, match="a.tar:1: can't be read"):
        data.rows[0]
    with pytest.raises(ImageError, match="a.tar:1.png can't be read"):
        photo.digest()


def test_pictures_are_the_bytes_of_the_tar(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(200_000)
    path = pack(
        tmp_path / "a.tar", {"0.png": b"x" * 700, "0.txt": "n", "1.png": noise, "1.txt": "n"}
    )
    photo = read(path).rows[1].pictures[0]
    assert photo.source() == noise and photo.head(10) == (noise[:10], 200_000)
