"""What is kept of what a model says is written in a picture."""

from __future__ import annotations

from typing import Any

import pytest

from galago.vlm.reading import TextReader, words_of
from galago.vlm.reply import Chunk, Stats

STATS: dict[str, Any] = dict.fromkeys(Stats.__dataclass_fields__, 0) | {"confidence": 0.99}


@pytest.mark.parametrize(
    "answer",
    [
        "There is no text.",
        "There is no text in the image.",
        "There is no visible text in the image, only a dog on a beach.",
        "No text.",
        "No text is visible in this picture",
        '"None"',
        "N/A",
        "",
        "The image does not contain any text.",
        "The image doesn’t contain any visible text.",
        "I'm sorry, but there is nothing written in this picture.",
        "There are no words or letters visible.",
    ],
)
def test_no_text_is_no_text(answer: str) -> None:
    assert words_of(answer) == ""


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Free\ncoffee", "Free\ncoffee"),
        ("NO PARKING", "NO PARKING"),
        ("No smoking in the picture gallery", "No smoking in the picture gallery"),
        ("There is no place like home", "There is no place like home"),
        ("Text messages are free", "Text messages are free"),
        ('The text in the image reads: "Exit"', '"Exit"'),
        ("The letters are in the post", "The letters are in the post"),
        ("Nothing beats a picnic", "Nothing beats a picnic"),
        ("None of these words\nmatter", "None of these words\nmatter"),
    ],
)
def test_what_stands_on_a_sign_is_kept(answer: str, text: str) -> None:
    assert words_of(answer) == text


class _Says:
    """A model with one answer."""

    def __init__(self, text: str, name: str = "somebody", **last: Any) -> None:
        self.name = name
        stats = Stats(**(STATS | {"doubted": last.pop("doubted", False)}))
        self._chunks = [Chunk(text, 1), Chunk("", None, stats, last.get("finish", "end"))]

    def encode(self, picture: Any) -> Any:
        return picture

    def stream(self, *_: Any) -> Any:
        return iter(self._chunks)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (_Says("Exit"), "Exit"),
        (_Says("Exit Exit Exit", finish="repetition"), ""),
        (_Says("a long page", finish="length"), "a long page"),
        (_Says("35%", "fastvlm-nano", doubted=True), ""),
    ],
)
def test_what_can_be_relied_on_is_kept(model: Any, text: str) -> None:
    assert TextReader(model).read(None) == text  # type: ignore[arg-type]
