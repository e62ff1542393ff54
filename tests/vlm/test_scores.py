"""How likely tokens were: the model's own numbers, with the text that they make up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from galago.errors import OptionError
from galago.vlm.sampling import SamplingOptions
from galago.vlm.scores import Scores
from tests.helpers.fakes import fake_tokenizer, fake_vlm


def test_log_softmax_of_what_the_model_gave(tmp_path: Path) -> None:
    tokenizer = fake_tokenizer(tmp_path)
    scores = Scores(tokenizer, 2)
    logits = np.full(tokenizer.vocab_size, -100, np.float32)
    first, second = tokenizer.encode("a")[0], tokenizer.encode("b")[0]
    logits[[first, second]] = math.log(3), math.log(1)
    assert scores.watching(lambda _: second)(logits) == second
    (likely,) = scores.of("b")
    assert likely.token == b"b" and likely.logprob == pytest.approx(math.log(0.25))
    assert [token for token, _ in likely.top] == [b"a", b"b"]
    assert likely.top[0][1] == pytest.approx(math.log(0.75))


def test_tokens_come_with_their_text(tmp_path: Path) -> None:
    """Parts of a character with the whole of it; none of what was cut."""
    tokenizer = fake_tokenizer(tmp_path)
    for reply, stop in (("weiß 日 is", ()), ("the hand holds", (" holds",))):
        vlm = fake_vlm(tokenizer, reply=reply)
        options = SamplingOptions(logprobs=1, stop=stop, temperature=0.7)
        images = [vlm.encode(np.zeros((64, 64, 3), np.uint8))]
        chunks = list(vlm.stream(images, "What?", options))
        text = "".join(chunk.text for chunk in chunks)
        assert text == reply.removesuffix(" holds")
        told = b"".join(likely.token for chunk in chunks for likely in chunk.likely)
        assert told.decode() == text
        assert all(likely.logprob <= 0 for chunk in chunks for likely in chunk.likely)


def test_their_number_is_bounded() -> None:
    for count in (-1, 21, True, 1.5):
        with pytest.raises(OptionError, match="logprobs"):
            SamplingOptions(logprobs=count)  # type: ignore[arg-type]
