"""Data looked through: what is wrong with which line, and what is merely odd."""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from galago.progress import Stage
from galago.rows.read import read_data
from galago.specs import ImageSpec
from galago.train.tune.check import SHOWN, Report, check
from galago.train.tune.labels import Labeller
from tests.helpers.fakes import fake_spec, fake_tokenizer
from tests.helpers.rows import llava, paint, write_lines

SPEC = ImageSpec(64, min_side=64)


@pytest.fixture(scope="module")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> Labeller:
    tokenizer = fake_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return Labeller.of(tokenizer, fake_spec(tokenizer.vocab_size))


def look(folder: Path, labeller: Labeller, *rows: Any, **options: Any) -> Report:
    path = write_lines(folder / "train.jsonl", rows)
    return check(read_data(str(path)), labeller, SPEC, **options)


def png_of(width: int, height: int) -> bytes:
    """A PNG of one line of data that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


def test_good_rows(tmp_path: Path, labeller: Labeller) -> None:
    paint(tmp_path / "a.png", 1), paint(tmp_path / "b.png", 2)
    told: list[tuple[Stage, float]] = []
    report = look(
        tmp_path, labeller, llava(name=1), llava("b.png", "More?", "No.", name=2),
        llava(None, name=3, question="Hello?"), progress=lambda *one: told.append(one),
    )  # fmt: skip
    assert (report.rows, report.good, report.faulty) == (3, 3, 0)
    assert (report.pictures, report.text_only, report.notes) == (2, 1, [])
    low, high = report.positions
    assert 0 < low < high and report.learnt > 0 and report.lines() == []
    assert told[0] == ("checking the data", 0.0) and told[-1][1] == 1.0


def test_each_fault_has_its_line(tmp_path: Path, labeller: Labeller) -> None:
    paint(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("no picture at all")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "wide.png").write_bytes(png_of(20_000, 20_000))
    faults = {
        "nothing.png": "no such picture: nothing.png",
        "pipe.png": "pipe.png is not a file",
        "text.png": "text.png is not a picture galago can read",
        "empty.png": "empty.png is empty",
        "wide.png": "larger than 100 megapixels",
        "../nowhere.png": "no such picture: ../nowhere.png",
        "zero\0.png": "no such picture",
        "n" * 5000: "no such picture",
        "\ud800.png": "no such picture",
    }
    report = look(tmp_path, labeller, llava(), *map(llava, faults), llava(answer=" "), llava())
    assert (report.good, report.faulty, report.missing) == (2, len(faults) + 1, 5)
    for (where, what), (line, said) in zip(
        report.problems, enumerate([*faults.values(), "answer is empty"], 2), strict=True
    ):
        assert where == f"train.jsonl:{line}" and said in what
    assert report.lines()[0] == "train.jsonl:2: no such picture: nothing.png"


def test_twenty_are_told_and_the_rest_counted(tmp_path: Path, labeller: Labeller) -> None:
    report = look(tmp_path, labeller, *[llava(f"{at}.png") for at in range(SHOWN + 7)])
    assert report.faulty == SHOWN + 7 and report.good == 0
    lines = report.lines()
    assert len(lines) == SHOWN + 1 and lines[-1] == "… and 7 more"


def test_a_picture_cut_in_its_middle_is_found_by_looking_at_everything(
    tmp_path: Path, labeller: Labeller
) -> None:
    noise = Image.frombytes("RGB", (100, 100), os.urandom(30_000))
    noise.save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    assert look(tmp_path, labeller, llava()).faulty == 0  # its header is whole
    report = look(tmp_path, labeller, llava(), everything=True)
    assert report.faulty == 1 and "damaged or cut short" in report.problems[0][1]


def test_a_header_that_can_not_be_read_is_decided_by_decoding(
    tmp_path: Path, labeller: Labeller
) -> None:
    """A PNG whose text unpacks to more than Pillow takes opens all the same."""
    paint(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    text = b"k\0\0" + zlib.compress(b"x" * (80 << 20))
    chunk = (
        struct.pack(">I", len(text))
        + b"zTXt"
        + text
        + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    )
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    assert look(tmp_path, labeller, llava()).faulty == 0


def test_a_picture_is_looked_at_once(
    tmp_path: Path, labeller: Labeller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galago.train.tune import check as module

    paint(tmp_path / "a.png")
    seen: list[object] = []
    about = module.about
    monkeypatch.setattr(module, "about", lambda *a, **k: (seen.append(a), about(*a, **k))[1])
    report = look(tmp_path, labeller, *[llava(name=at, answer=str(at)) for at in range(30)])
    assert len(seen) == 1 and report.good == 30
    seen.clear()
    bad = look(tmp_path, labeller, *[llava("no.png") for _ in range(3)])
    assert bad.faulty == bad.missing == 3


def test_too_long_is_a_fault_or_cut(tmp_path: Path, labeller: Labeller) -> None:
    paint(tmp_path / "a.png")
    long = llava(answer="milk and bread " * 60)
    short = replace(labeller, positions=100)
    report = look(tmp_path, short, long)
    assert report.faulty == 1 and "positions" in report.problems[0][1]
    report = look(tmp_path, replace(short, cut=True), long)
    assert report.faulty == 0 and report.notes == ["1 row is cut at 100 positions"]


def test_what_is_odd_is_told(tmp_path: Path, labeller: Labeller) -> None:
    paint(tmp_path / "a.png", 1), paint(tmp_path / "b.png", 2)
    same = [llava(name=1)] * 10
    assert look(tmp_path, labeller, *same).notes == [
        "9 rows are there twice or more, word for word",
        "9 rows are called by an id that another has, too",
        "all answers are equal: it would learn to say nothing else",
    ]
    # copies of a picture under two names are one picture
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes())
    few = look(tmp_path, labeller, llava(name=1), llava("c.png", name=2), llava("b.png", name=3))
    assert few.notes == ["1 row is there twice or more, word for word"]


def test_the_digest_tells_what_is_learnt(tmp_path: Path, labeller: Labeller) -> None:
    paint(tmp_path / "a.png", 1), paint(tmp_path / "b.png", 2)
    rows = [llava(name=1), llava("b.png", name=2)]
    once = look(tmp_path, labeller, *rows).digest
    assert look(tmp_path, labeller, *rows).digest == once
    others = [
        look(tmp_path, labeller, *changed).digest
        for changed in (rows[::-1], rows[:1], [rows[0], llava("b.png", answer="A dog.")])
    ]
    paint(tmp_path / "b.png", 3)
    others.append(look(tmp_path, labeller, *rows).digest)
    assert len({once, *others}) == 5


def test_any_line_is_a_row_or_a_fault(tmp_path: Path, labeller: Labeller) -> None:
    """Values of every kind at every place: never anything but faults with their lines."""
    paint(tmp_path / "a.png")
    odd: list[Any] = [None, True, 3, 1e308, -0.0, "", "x", [], {}, [[]], [None], {"a": 1}, "\ud800"]
    places = [lambda v: v, lambda v: {"image": v, "conversations": llava()["conversations"]}]
    places += [lambda v: llava() | {"conversations": v}, lambda v: {"messages": [v, v]}]
    places += [lambda v: llava(question=v), lambda v: llava(answer=v), lambda v: llava(name=v)]
    places += [lambda v: {"conversations": [{"from": v, "value": "x"}] * 2}]
    places += [lambda v: {"image": "a.png", "question": v, "answer": v}]
    places += [lambda v: {"messages": [{"role": "user", "content": [{"type": v, "text": v}]}] * 2}]
    rows = [place(value) for place in places for value in odd]
    lines = [json.dumps(row) for row in rows]
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join([json.dumps(llava()), *lines]))
    report = check(read_data(str(path)), labeller, SPEC)
    assert report.good + report.faulty == report.rows == len(rows) + 1
    assert report.good > 20 and report.faulty > 60
