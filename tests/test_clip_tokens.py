"""CLIP's ids: a table taken from open_clip 3.3, and what becomes of long and empty texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.errors import CheckpointError, OptionError
from galago.specs import CLIP_SMALLEST_VOCAB
from galago.text import clip_tokens
from galago.text.clip_tokens import clean, load_clip_tokenizer

START, END = 49406, 49407

# Text -> SimpleTokenizer().encode(text); tests/parity/test_clip_tokens.py asks open_clip again.
TABLE: list[tuple[str, list[int]]] = [
    ('', []),
    ('   \n\t ', []),
    ('a photo of a cat.', [320, 1125, 539, 320, 2368, 269]),
    ('A Photo  of\na CAT', [320, 1125, 539, 320, 2368]),
    ('a diagram', [320, 22697]),
    ('hello world!!', [3306, 1002, 748]),
    ("don't, we'll I'm they're you've she'd it's",
        [847, 713, 267, 649, 1342, 328, 880, 889, 982, 592, 1200, 1043, 1896, 585, 568]),
    ("DON'T 'S '' ''s", [847, 713, 568, 8445, 8445, 338]),
    ('2024-12-31 3.14 1000000',
        [273, 271, 273, 275, 268, 272, 273, 268, 274, 272, 274, 269, 272, 275, 272, 271,
         271, 271, 271, 271, 271]),
    ('½ ²³ ٣ Ⅷ ①',
        [33613, 41175, 126, 367, 149, 352, 158, 227, 371, 158, 239, 510]),
    ('naïve café Größe Ångström',
        [1097, 35689, 563, 15304, 709, 7255, 127, 253, 324, 23176, 10352, 807, 7255, 332]),
    ('e\u0301 n\u0303', [4166, 127, 365]),
    ("İstanbul ſtraße 'ſ",
        [328, 16384, 11231, 129, 123, 752, 127, 253, 324, 6, 129, 379]),
    ('русский עברית हिन्दी ไทย',
        [16370, 39729, 23669, 23669, 27152, 29503, 373, 147, 95, 147, 239, 147, 101, 147,
         247, 147, 359, 29446, 26721, 26090, 19389, 29552, 25751, 31718, 245, 33091]),
    ('一张猫的照片。',
        [19759, 222, 161, 120, 254, 163, 234, 104, 163, 248, 226, 163, 227, 100, 163, 231,
         485, 38000]),
    ('猫の写真 고양이 사진',
        [163, 234, 104, 21575, 44653, 33440, 509, 36216, 254, 31625, 239, 34746, 31061,
         105, 38890]),
    ('🐱 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ✌️',
        [22979, 43722, 25023, 26304, 48938, 4244, 964, 355, 21531, 12239]),
    ('a\xa0b\u2003c\u200bd\u3000e', [320, 321, 322, 9844, 323, 324]),
    ('&lt;b&gt; &amp;amp; &#39;q&#39; &eacute; &EACUTE;',
        [283, 321, 285, 261, 262, 336, 262, 4166, 4166]),
    ('&amp;amp;amp;lt; <i> &amp;amp;amp;lt;',
        [261, 6259, 282, 3333, 282, 283, 328, 285, 261, 6259, 282, 3333, 282]),
    ('&quot &notit; &bogus; &#59;', [257, 126, 361, 585, 282, 261, 42907, 282, 282]),
    ('“curly” ‘quotes’ rock’n’roll',
        [257, 20795, 257, 262, 5808, 262, 2172, 262, 333, 262, 3341]),
    ('ＦＵＬＬ\u3000ｗｉｄｔｈ！ ｶﾞ', [1476, 23571, 256, 3909, 361]),
    ('oﬃce ﬁne ŉ ǆ', [2171, 3797, 262, 333, 67, 129, 378]),
    ('x\r\ny\u2028z\x85w', [343, 344, 345, 959, 342]),
    ('\x00a\x1fb\x7f\ufeffc', [5334]),
    ('\x1b[1;31mred\x1b[0m', [736]),
    ('it\x92s \x93so\x94 \x96 a', [585, 568, 257, 706, 257, 1224, 320]),
    ('\ud83d\udc31 \ud83d x', [22979, 39802, 343]),
    ('<start_of_text>a cat<end_of_text>', [49406, 320, 2368, 49407]),
    ('!!<start_of_text> <END_OF_TEXT>',
        [1443, 283, 1572, 318, 539, 318, 4160, 285, 49407]),
    ('pneumonoultramicroscopicsilicovolcanoconiosis',
        [28714, 749, 20253, 9800, 535, 532, 1065, 901, 1556, 13697, 9916, 78, 39031,
         13903]),
    ('a_b-c/d\\e|f~g',
        [320, 318, 321, 268, 322, 270, 323, 315, 324, 347, 325, 349, 326]),
    ('http://example.com/a?b=c&d=e',
        [15066, 12441, 6228, 269, 2464, 270, 320, 286, 321, 284, 322, 261, 323, 284, 324]),
    ('\U0001fae8\U0010ffff', [558, 104, 101, 176, 237, 123, 379]),
    ('o\u0345!\u0345! \u03b1\u0345', [334, 256, 256, 157, 122, 367]),
]  # fmt: skip


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
