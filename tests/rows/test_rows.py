"""A row: its faults, its questions as galago asks them, its pictures as galago sees them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError
from galago.media.images import load_pixels
from galago.rows.rows import PhotoFile, Row, RowError, Turn
from galago.specs import ImageSpec
from galago.text.chat import ImageSlot, user_message


def row(*questions: str, pictures: int = 1, system: str = "") -> Row:
    photos = tuple(PhotoFile(f"{one}.png", f"{one}.png") for one in range(pictures))
    turns = tuple(Turn(question, "Yes.") for question in questions)
    return Row(photos, turns, "train.json:17", system)


@pytest.mark.parametrize(
    ("questions", "pictures", "fault"),
    [
        (["<image>\nWhat?"], 2, "1 <image> in its questions, 2 pictures to it"),
        (["<image><image>What?"], 1, "2 <image>s in its questions, 1 picture to it"),
        (["<image>\nWhat?"], 0, "1 <image> in its questions, 0 pictures to it"),
        (["What?", "Why <image>?"], 2, "1 <image> in its questions, 2 pictures to it"),
        (["<image> \n"], 1, "question is empty"),
        (["What?", ""], 0, "question 2 is empty"),
        ([], 0, "it has no question"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(questions: list[str], pictures: int, fault: str) -> None:
    wrong = row(*questions, pictures=pictures)
    assert list(wrong.faults()) == [fault]
    with pytest.raises(RowError, match="train.json:17: ") as raised:
        wrong.messages()
    assert raised.value.what == fault
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.where, again.what, str(again)) == ("train.json:17", fault, str(raised.value))


def test_answers_are_words() -> None:
    said = Row((), (Turn("Hi", " "), Turn("Draw", "<image>")), "here")
    assert list(said.faults()) == [
        "answer 1 is empty",
        "answer 2 has a <image>, and a model doesn't draw",
    ]


def test_half_a_character_is_told() -> None:
    for turn in (Turn("\ud800?", "Yes."), Turn("Hi", "\udc9f")):
        assert next(Row((), (turn,), "x").faults()).startswith("it has half a character")
    assert list(Row((), (Turn("Hi", "\U0001f408"),), "x", "\udfff").faults())


@pytest.mark.parametrize("question", ["What?", "<image>\nWhat?", " <image> What? ", "<image>What?"])
def test_a_picture_in_front_is_asked_about_as_galago_asks(question: str) -> None:
    assert row(question).messages() == [user_message("What?", 1)]


def test_a_picture_elsewhere_stays_there() -> None:
    assert row("What?\n<image>").messages()[0].content == ("What?\n", ImageSlot(0), "")
    both = row("<image>\nIs it <image>?", pictures=2).messages()
    assert both[0].content == (ImageSlot(0), "\n", "Is it ", ImageSlot(1), "?")


def test_pictures_of_later_questions_are_the_later_ones() -> None:
    system, first, second, third = row(
        "<image>\n<image>\nWhich?", "And now?", "<image>\nThis?", pictures=3, system="Be brief."
    ).messages()
    assert (system.role, system.content) == ("system", ("Be brief.",))
    assert first.content == (ImageSlot(0), "\n", ImageSlot(1), "\n", "Which?")
    assert second.content == ("And now?",)
    assert third.content == ("", ImageSlot(2), "\nThis?")


def test_several_pictures_without_marks_stand_in_front() -> None:
    assert row("Which?", "Why?", pictures=2).messages()[0] == user_message("Which?", 2)


def test_pixels_are_those_of_running(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 90, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    spec = ImageSpec(64, mean=(0.5,) * 3, std=(0.25,) * 3, min_side=64)  # type: ignore[arg-type]
    photo = pickle.loads(pickle.dumps(PhotoFile("wide.png", str(path))))
    assert photo.square(spec).shape == (64, 64, 3)
    assert np.array_equal(photo.pixel_values(spec), load_pixels(path, spec)[0])


def test_copies_have_one_digest(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(70_000)
    for name, data in {"a": noise, "b": noise, "c": noise + b"!", "d": b"?" + noise[1:]}.items():
        (tmp_path / name).write_bytes(data)
    one, copy, longer, other = (PhotoFile(n, str(tmp_path / n)).digest() for n in "abcd")
    assert one == copy and len({one, longer, other}) == 3


def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in {
        "pipe": "pipe is not a file",
        "loop": "loop is not a file",
        "": " is not a file",
        "nothing.png": "no such picture: nothing.png",
        "null\0byte": "no such picture",
        "y" * 300: "no such picture",
    }.items():
        photo = PhotoFile(name, os.path.join(tmp_path, name))
        for use in (photo.digest, photo.source):
            with pytest.raises(ImageError, match=said):
                use()
    with pytest.raises(ImageError, match="not a file"):
        PhotoFile("zero", "/dev/zero").source()


def test_a_talk_ends_with_its_last_question() -> None:
    turns = Turn("<image>\nWhich?", "A red one. "), Turn("Sour?", "Yes."), Turn("Why?", "So.")
    row = Row((PhotoFile("a.png", "a.png"),), turns, "x", "Be brief.")
    told = [(one.role, "".join(part for part in one.content if isinstance(part, str)))
            for one in row.talk()]  # fmt: skip
    assert [role for role, _ in told] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert told[2][1] == "A red one." and told[-1][1] == "Why?"
