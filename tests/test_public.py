"""The public names."""

from __future__ import annotations

import pytest
from PIL import Image

import galago
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import Chunk, FastVLM
from tests.helpers.fakes import fake_vlm


def test_public_names() -> None:
    for name in galago.__all__:
        assert getattr(galago, name) is not None
    assert set(galago.__all__) <= set(dir(galago))
    with pytest.raises(AttributeError, match="nothing_here"):
        galago.nothing_here  # noqa: B018
    assert galago.FastVLM is FastVLM and galago.Chunk is Chunk


def test_a_conversation_can_be_told_in_public_names_alone(tokenizer: Tokenizer) -> None:
    vlm = fake_vlm(tokenizer, reply="milk")
    image = vlm.encode(Image.new("RGB", (90, 70), "green"))
    told = [
        galago.Message("system", ("Be brief.",)),
        galago.Message("user", (galago.ImageSlot(0), "\n", "What is written?")),
        galago.Message("assistant", ("bread",)),
        galago.Message("user", ("Are you sure?",)),
    ]
    chunks = list(vlm.reply(told, [image], galago.SamplingOptions(max_tokens=9)))
    assert "".join(chunk.text for chunk in chunks) == "milk" and chunks[-1].finish == "end"
