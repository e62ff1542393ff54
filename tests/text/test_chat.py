"""The chat template: turns and pictures in their places, people's text only text."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import CheckpointError
from galago.specs import PromptSpec
from galago.text.chat import ImageSlot, Message, chat_pieces
from galago.text.tokens import Tokenizer, load_tokenizer
from tests.helpers.fakes import control, write_tokenizer


def spelled(tokenizer: Tokenizer, pieces: list[object]) -> list[object]:
    """Pieces as text, controls spelled out."""
    controls = {control(tokenizer, name): name for name in ("<|im_start|>", "<|im_end|>")}
    out: list[object] = []
    for piece in pieces:
        if isinstance(piece, ImageSlot):
            out.append(piece.index)
            continue
        assert isinstance(piece, list)
        out.append("".join(controls.get(one) or tokenizer.decode([one]) for one in piece))
    return out


SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


def test_one_picture(tokenizer: Tokenizer) -> None:
    message = Message("user", (ImageSlot(0), "\n", "What is it?"))
    pieces = chat_pieces(tokenizer, [message], PromptSpec())
    assert spelled(tokenizer, pieces) == [
        SYSTEM + "<|im_start|>user\n",
        0,
        "\nWhat is it?<|im_end|>\n<|im_start|>assistant\n",
    ]


def test_the_halves_are_tokenised_apart(tokenizer: Tokenizer) -> None:
    message = Message("user", (ImageSlot(0), "\n", "the note"))
    last = chat_pieces(tokenizer, [message], PromptSpec())[-1]
    half = tokenizer.encode("\nthe note")
    assert isinstance(last, list) and last[: len(half)] == half


def test_several_pictures_no_system_and_plain_text(tokenizer: Tokenizer) -> None:
    message = Message("user", (ImageSlot(0), "\n", ImageSlot(1), "\n", "Differ?"))
    pieces = chat_pieces(tokenizer, [message], PromptSpec(system=""))
    assert spelled(tokenizer, pieces) == [
        "<|im_start|>user\n", 0, "\n", 1, "\nDiffer?<|im_end|>\n<|im_start|>assistant\n"
    ]  # fmt: skip
    only = chat_pieces(tokenizer, [Message("user", ("Hello",))], PromptSpec())
    assert spelled(tokenizer, only) == [
        SYSTEM + "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    ]


def test_several_turns_and_an_open_reply(tokenizer: Tokenizer) -> None:
    said = [Message("user", (ImageSlot(0), "\n", "Read.")), Message("assistant", ("milk",))]
    start = SYSTEM + "<|im_start|>user\n"
    open_reply = "\nRead.<|im_end|>\n<|im_start|>assistant\nmilk"
    assert spelled(tokenizer, chat_pieces(tokenizer, said, PromptSpec())) == [start, 0, open_reply]
    whole = chat_pieces(tokenizer, [*said, Message("user", ("And?",))], PromptSpec())
    following = "<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n"
    assert spelled(tokenizer, whole) == [start, 0, open_reply + following]
    next_turn = chat_pieces(tokenizer, [Message("user", ("And?",))], PromptSpec(), continued=True)
    assert spelled(tokenizer, next_turn) == [following]


def test_a_typed_image_marker_is_no_slot(tokenizer: Tokenizer) -> None:
    message = Message("user", (ImageSlot(0), "\n", "what does <image> mean?"))
    pieces = chat_pieces(tokenizer, [message], PromptSpec())
    assert sum(isinstance(piece, ImageSlot) for piece in pieces) == 1
    assert "what does <image> mean?" in str(spelled(tokenizer, pieces)[-1])


def test_a_tokenizer_without_controls_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, controls=["<|endoftext|>"])
    with pytest.raises(CheckpointError, match="im_start"):
        chat_pieces(load_tokenizer(tmp_path), [Message("user", ("Hi",))], PromptSpec())
