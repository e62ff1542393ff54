"""CLIP's ids: a table taken from open_clip 3.3, and what becomes of long and empty texts."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from galago.errors import CheckpointError, OptionError
from galago.specs import CLIP_SMALLEST_VOCAB
from galago.text import clip_tokens
from galago.text.clip_tokens import clean, load_clip_tokenizer
from tests.helpers.clip_ids import TABLE

START, END = 49406, 49407


@pytest.mark.parametrize(("text", "ids"), TABLE, ids=range(len(TABLE)))
def test_ids(text: str, ids: list[int]) -> None:
    assert load_clip_tokenizer().encode(text) == ids


def test_rows() -> None:
    rows = load_clip_tokenizer()(["a photo of a cat.", "", "a diagram"])
    assert rows.shape == (3, 77) and rows.dtype == np.int64
    assert rows[0, :9].tolist() == [START, 320, 1125, 539, 320, 2368, 269, END, 0]
    assert rows[1, :3].tolist() == [START, END, 0]
    assert not rows[:, 9:].any()


def test_no_texts_and_one_bare_text() -> None:
    tokenizer = load_clip_tokenizer()
    assert tokenizer([]).shape == (0, 77)
    assert np.array_equal(tokenizer("a cat"), tokenizer(["a cat"]))


@pytest.mark.parametrize("words", [74, 75, 76, 300])
def test_long_texts_end_with_the_end(words: int) -> None:
    tokenizer, text = load_clip_tokenizer(), "cat " * words
    (row,) = tokenizer([text])
    kept = min(words, 75)
    assert row.tolist() == [START] + [2368] * kept + [END] + [0] * (75 - kept)
    assert tokenizer.truncated(text) == (words > 75)


def test_another_context() -> None:
    tokenizer = load_clip_tokenizer()
    assert tokenizer(["a photo of a cat"], 4).tolist() == [[START, 320, 1125, END]]
    assert tokenizer(["a photo of a cat"], 2).tolist() == [[START, END]]
    assert tokenizer.truncated("a photo of a cat", 6) and not tokenizer.truncated("a cat", 4)
    with pytest.raises(OptionError, match="at least 2"):
        tokenizer(["a cat"], 1)


def test_typed_control_tokens_count_where_a_word_begins() -> None:
    (row,) = load_clip_tokenizer()(["a<END_OF_TEXT>b"], 8)
    assert row.tolist() == [START, 320, END, 321, END, 0, 0, 0]


def test_clean() -> None:
    assert clean("  “A” &amp; B\u2028c ") == '"a" & b c'
    assert clean("cafÃ©") == "cafã©"  # guessing encodings is left to others


@pytest.mark.parametrize("text", ["&amp;", "\x1b[", "amp;", "<", "'", "a", "\ud83d"])
def test_hostile_texts_end_soon(text: str) -> None:
    assert load_clip_tokenizer().truncated("&" + text * 50_000) in (True, False)


@pytest.mark.parametrize("marks", ["\u0315\u0300", "\u0300\u0316", "&#789;&#768;", "\u0344"])
def test_marks_without_end_are_read_soon(marks: str) -> None:
    began = time.perf_counter()
    (row,) = load_clip_tokenizer()(["a" + marks * 50_000])
    assert row[0] == START and row[-1] == END
    assert load_clip_tokenizer().truncated("a" + marks * 50_000)
    clean("a" + marks * 20_000)
    assert time.perf_counter() - began < 15


def test_as_many_marks_as_anybody_writes_stay() -> None:
    assert clean("e" + "\u0315\u0300" * 15) == "\u00e8" + "\u0300" * 14 + "\u0315" * 15
    assert clean("\u0301" * 31) == "\u0301" * 30 + "\u034f\u0301"
    assert clean("\u0301!" * 40) == "\u0301!" * 40


LONG = [
    "a photo of a cat, " * 900,
    "x" * 9000,
    "日本語" * 3000,
    "&amp;" * 3000,
    "naïve cafés " * 900,
]
LONG += [" " * 9000 + "a cat", "\x1b[1m" * 3000 + "a cat", "ab" * 3000, "a cat" + " " * 9000]


@pytest.mark.parametrize("text", LONG, ids=lambda text: ascii(text[:9]))
@pytest.mark.parametrize("context", [4, 77, 400])
def test_the_beginning_of_a_long_text_is_enough(text: str, context: int) -> None:
    tokenizer = load_clip_tokenizer()
    whole = tokenizer.encode(text)
    assert tokenizer.encode(text, context) == whole[:context]
    assert tokenizer.truncated(text, context) == (len(whole) > context - 2)


def test_loaded_once() -> None:
    assert load_clip_tokenizer() is load_clip_tokenizer()


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    path = tmp_path / "merges.gz"
    if damage != "missing":
        whole = clip_tokens._MERGES.read_bytes()
        path.write_bytes(whole[:1000] if damage == "cut" else b"text")
    monkeypatch.setattr(clip_tokens, "_MERGES", path)
    with pytest.raises(CheckpointError, match="install galago again"):
        load_clip_tokenizer.__wrapped__()


def test_a_smaller_vocabulary_is_the_first_merges() -> None:
    small, full = load_clip_tokenizer(4096), load_clip_tokenizer()
    assert (small.start, small.end) == (4094, 4095)
    for text in ("a photo of a cat", "chrysanthemum", "naïve 東京"):
        pieces = small.encode(text)
        assert max(pieces) < 4094 and len(pieces) >= len(full.encode(text))
        # What it knows as one piece is the very token of the full vocabulary.
        assert [i for i in full.encode(text) if i < 4094] == [
            i for i in pieces if i in full.encode(text)
        ]
    letters = load_clip_tokenizer(CLIP_SMALLEST_VOCAB).encode("cat")
    assert len(letters) == 3 and max(letters) < 512
