"""Ids against open_clip's SimpleTokenizer (its clean="lower"), and the data against its file.

Run in the parity environment: `python -m pytest tests/parity/test_clip_tokens.py`.

Texts that ftfy takes for wrongly decoded ones are left out, on its own word: that guess is the one
part of its work that galago doesn't do.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.text import clip_tokens
from galago.text.clip_tokens import load_clip_tokenizer
from tests.helpers.clip_ids import TABLE

ftfy = pytest.importorskip("ftfy")
open_clip_tokenizer = pytest.importorskip("open_clip.tokenizer")

TEMPLATES = [
    "{}", "a photo of a {}.", "a bad photo of a {}.", "a photo of many {}.", "itap of my {}.",
    "a {} in a video game.", "art of the {}.", "the origami {}.", "A PHOTO OF THE {}!", "{} {} {}",
]  # fmt: skip
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ ' ' st re ve m ll d",
    "0123456789 .,:-/²½٣Ⅷ①",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ",
    "éèêëàâäçñöüßøåæœžščřłđıİǅſſ \u0301\u0308\u0327\u0345",
    "“”‘’‛‟ʼ«»…–—•™©®°€£",
    "一张猫的照片在桌子上猫の写真ひらがなカタカナ고양이 사진，。！",
    "русский языкעבריתالعربيةहिन्दीไทยதமிழ்ქართული ",
    "🐱🐶👍🏽👨\u200d👩🇩🇪✌️🫱🏻🎂𝔘𝟙\U0010ffff ",
    "ＡＢＣａｂｃ０１！？ﾊﾟｶﾞ\u3000ﬀﬁﬂﬃﬄﬅﬆĲĳŉ",
    " \t\n\r\x0b\x0c\x1c\x85\xa0\u2003\u2028\u200b\ufeff\x00\x7f\x1b[31m",
    "&;#ampltgt<>x27&amp;&lt;&#39;&eacute;&EACUTE;&notit;&AMP",
]
SNIPPETS = [
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "’s", "&amp;", "&amp;amp;", "&lt;", "&quot",
    "&#39;", "&#x2019;", "&ldquo;", "&nbsp;", "&NTILDE;", "<b>", "<start_of_text>", "<end_of_text>",
    "<END_OF_TEXT>", "\x1b[0m", "\x92", "\x96", "\ud83d", "\ude00", "...", "!!!", "  ", "\n",
    "#tag", "http://a.b/c?d=e&f", "1,234.56", "50%", "C++", "ﬁ", "e\u0301", "🇩🇪",
    "👨\u200d👩\u200d👧",
]  # fmt: skip


def words(rng: random.Random) -> Callable[[], str]:
    """Real words of many languages where wordfreq is there, made-up ones otherwise."""
    try:
        from wordfreq import top_n_list
    except ImportError:
        return lambda: "".join(rng.choices(ALPHABETS[0][:26], k=rng.randint(1, 12)))
    known = [word for lang in ("en", "en", "de", "fr", "es", "ru", "ar", "ja", "ko", "zh", "hi")
             for word in top_n_list(lang, 3000)]  # fmt: skip
    return lambda: rng.choice(known)


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    word = words(rng)
    made: list[str] = []
    while len(made) < count:
        kind = rng.random()
        if kind < 0.3:
            template = rng.choice(TEMPLATES)
            made.append(template.format(*(word() for _ in range(3))))
        elif kind < 0.6:
            parts = [rng.choice(SNIPPETS) if rng.random() < 0.3 else word() for _ in range(12)]
            made.append(rng.choice(["", " "]).join(parts[: rng.randint(1, 12)]))
        else:
            runs = (rng.choices(rng.choice(ALPHABETS), k=rng.randint(1, 9)) for _ in range(6))
            made.append("".join("".join(run) for run in runs))
    return made


def guessed(text: str) -> bool:
    """Whether ftfy would decode this text anew."""
    return bool(ftfy.fix_text(text) != ftfy.fix_text(text, fix_encoding=False))


@pytest.fixture(scope="module")
def reference() -> Any:
    return open_clip_tokenizer.SimpleTokenizer()


def unpacked(path: Path | str) -> str:
    return gzip.decompress(Path(path).read_bytes()).decode("utf-8")


def test_the_data_is_the_published_one(reference: Any) -> None:
    published = unpacked(open_clip_tokenizer.default_bpe()).split("\n")
    ours = unpacked(clip_tokens._MERGES).splitlines()
    assert ours == published[1 : 49152 - 256 - 2 + 1]
    assert reference.encoder == load_clip_tokenizer()._backend.get_vocab() | {
        "<start_of_text>": 49406,
        "<end_of_text>": 49407,
    }


def test_the_table_of_the_other_tests(reference: Any) -> None:
    for text, ids in TABLE:
        assert reference.encode(text) == ids, ascii(text)


@pytest.mark.parametrize("seed", range(4))
def test_ids(reference: Any, report: Callable[[str, float], float], seed: int) -> None:
    tokenizer, compared = load_clip_tokenizer(), 0
    for text in texts(3000, seed):
        if guessed(text):
            continue
        compared += 1
        assert tokenizer.encode(text) == reference.encode(text), ascii(text)
    assert report(f"texts compared, seed {seed}", compared) > 2000


def test_rows(reference: Any) -> None:
    batch = [text for text in texts(500, 9) if not guessed(text)]
    batch += [" ".join(batch[n : n + 30]) for n in range(0, 90, 30)]
    batch = [text for text in batch if not guessed(text)]
    tokenizer = load_clip_tokenizer()
    for context in (77, 16):
        wanted = reference(batch, context_length=context).numpy()
        found = tokenizer(batch, context)
        assert found.dtype == wanted.dtype and np.array_equal(found, wanted)
        cut = [len(reference.encode(text)) + 2 > context for text in batch]
        assert any(cut) and [tokenizer.truncated(text, context) for text in batch] == cut
