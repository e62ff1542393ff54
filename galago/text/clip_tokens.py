"""CLIP's byte-pair tokenizer: text to the ids that the published text towers were trained on.

The vocabulary and the rules are OpenAI's (openai/CLIP, clip/simple_tokenizer.py, MIT), as open_clip
uses them with clean="lower".  49408 ids: 256 bytes, the same 256 at the end of a word, 48894 merges
(galago/data/clip_merges.txt.gz, one "left right" a line, in order of rank), start and end.
A smaller vocabulary is the same with the first merges only.
"""

from __future__ import annotations

import gzip
import html
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from html.entities import html5
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import Regex, models, pre_tokenizers

from galago.errors import CheckpointError, OptionError
from galago.places import DATA
from galago.specs import CLIP_CONTEXT, CLIP_SMALLEST_VOCAB, CLIP_VOCAB

__all__ = ["ClipTokenizer", "clean", "load_clip_tokenizer"]

_MERGES = DATA / "clip_merges.txt.gz"
_MERGE_COUNT = 48894
_WORD_END = "</w>"
_ENOUGH = 4096  # characters, of which 77 tokens nearly always are the first few hundred
# The published pattern ignores case. After lower() that still lets a long s stand for an s, and
# leaves U+0345, a mark whose capital is a letter, in none of the classes: it is dropped.
_WORDS = (
    r"<[sſ]tart_of_text>|<end_of_text>|'[sſ]|'t|'re|'ve|'m|'ll|'d"
    "|\\p{L}+|\\p{N}|[^\\s\\p{L}\\p{N}\u0345]+"
)


class ClipTokenizer:
    """Text to ids; safe to share between threads, as nothing in it changes.

    `start` and `end` are the last two ids. "<start_of_text>" and "<end_of_text>" inside a text
    become these where a word could begin, as in open_clip; the text towers read their answer at the
    first `end`.
    """

    def __init__(self, merges: Sequence[tuple[str, str]]) -> None:
        alphabet = _alphabet()
        tokens = alphabet + [a + _WORD_END for a in alphabet] + [a + b for a, b in merges]
        self.start, self.end = len(tokens), len(tokens) + 1
        self._special = {"<start_of_text>": self.start, "<end_of_text>": self.end}
        vocab = {token: number for number, token in enumerate(tokens)}
        model = models.BPE(vocab=vocab, merges=list(merges), end_of_word_suffix=_WORD_END)
        split = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
        as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._backend: Any = tokenizers.Tokenizer(model)
        self._backend.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])

    def to_json(self) -> str:
        """The byte pairs as tokenizer.json; without `clean`, start and end."""
        return str(self._backend.to_str())

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """Ids of a text of any length, without start and end; no more than the first `most`."""
        if most is not None and len(text) > _ENOUGH:
            # Twice as many, so that the word where the text was cut is none of those returned.
            ids = self._encode(text[: max(_ENOUGH, 16 * most)])
            if len(ids) > 2 * most:
                return ids[:most]
        return self._encode(text)[:most]

    def _encode(self, text: str) -> list[int]:
        text = clean(text)
        if not any(special in text for special in self._special):
            return list(self._backend.encode(text).ids)
        ids: list[int] = []
        for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(text):
            if word in self._special:
                ids.append(self._special[word])
            else:
                ids += [token.id for token in self._backend.model.tokenize(word)]
        return ids

    def __call__(self, texts: Sequence[str], context: int = CLIP_CONTEXT) -> npt.NDArray[np.int64]:
        """Rows of start, ids, end and zeros: int64 (len(texts), context).

        A text that is too long is cut so that `end` stands last (see `truncated`).  A single string
        counts as one text.  Raises OptionError when `context` leaves no room for start and end.
        """
        if context < 2:
            raise OptionError(f"a context of {context} has no room; use at least 2 (CLIP has 77)")
        texts = [texts] if isinstance(texts, str) else texts
        rows = np.zeros((len(texts), context), dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = [self.start, *self.encode(text, context - 2), self.end]
            row[: len(ids)] = ids
        return rows

    def truncated(self, text: str, context: int = CLIP_CONTEXT) -> bool:
        """Whether the end of this text would be cut off."""
        return len(self.encode(text, context - 1)) > context - 2


@cache
def load_clip_tokenizer(vocab: int = CLIP_VOCAB) -> ClipTokenizer:
    """The one tokenizer of this process with so many ids, from CLIP_SMALLEST_VOCAB to CLIP_VOCAB.

    CheckpointError when galago's own file is damaged.
    """
    advice = "install galago again"
    try:
        lines = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").splitlines()
    except (OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{_MERGES} cannot be read ({error}); {advice}") from error
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    if len(merges) != _MERGE_COUNT:
        raise CheckpointError(f"{_MERGES} has {len(merges)} of {_MERGE_COUNT} merges; {advice}")
    return ClipTokenizer(merges[: vocab - CLIP_SMALLEST_VOCAB])


def _alphabet() -> list[str]:
    """The letter that stands for each byte, in the order of the ids: the printable ones first."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(n) for n in printable] + [chr(0x100 + n) for n in range(256 - len(printable))]


# -- cleaning --------------------------------------------------------------------------------------

_PASSES = 32  # "&amp;amp;amp;..." loses one layer a pass: a long one must not take for ever
_ENTITY = re.compile(r"&#?[0-9A-Za-z]{1,24};")
_TERMINAL = re.compile(r"\x1b\[[\d;]*[a-zA-Z]")
_MOST_MARKS = 30  # on one letter, as in UAX #15's Stream-Safe Text Format: NFC sorts them
_JOINER = "\u034f"  # the format's own, which ends a run: COMBINING GRAPHEME JOINER
# Where a run can be: a mark is neither a letter, a digit nor a blank.
_MARKS = re.compile(rf"[^\w\s\x00-\u02ff]{{{_MOST_MARKS + 1},}}")
_LIGATURES = "ĲĳǱǲǳǄǅǆǇǈǉǊǋǌﬀﬁﬂﬃﬄﬆ"
_CONTROLS: dict[int, None] = {n: None for n in range(0x20) if chr(n) not in "\t\n\f\r"}
for _run in ((0x7F,), range(0x206A, 0x2070), (0xFEFF,), range(0xFFF9, 0xFFFD)):
    _CONTROLS.update(dict.fromkeys(_run))


def clean(text: str) -> str:
    """A text as the tokenizer sees it: mended, HTML entities resolved, blanks folded, lower case.

    open_clip mends with ftfy.fix_text, then unescapes HTML twice.  Done here as ftfy 6.3 does:
    entities with a semicolon (nested ones too, in the lines before the first that has a "<"), curly
    quotes made straight, Latin ligatures taken apart, full- and half-width forms, leftover
    Windows-1252 control codes, UTF-16 surrogates joined (lone ones become U+FFFD), terminal
    colours and control characters dropped, NFC (runs of more than 30 marks are broken up first).

    Not done: ftfy's guess that text was decoded with the wrong encoding ("cafÃ©" stays), its cut of
    lines longer than a million characters, and entities nested more than 30 deep.  Also different:
    letters newer than the Unicode tables of the installed tokenizers library count as punctuation
    (open_clip asks `regex`).
    """
    opening = text.find("<")
    plain = len(text) if opening < 0 else text.rfind("\n", 0, opening) + 1
    text = _mend(text[:plain], entities=True) + _mend(text[plain:], entities=False)
    text = html.unescape(html.unescape(text))
    return " ".join(text.split()).lower()


def _mend(text: str, entities: bool) -> str:
    """Repeated until nothing changes, as one repair can make room for another."""
    for _ in range(_PASSES):
        before = text
        if entities:
            text = _ENTITY.sub(_resolve, text)
        text = text.translate(_look_alikes())
        if not text.isascii():
            # Through UTF-16, halves of a surrogate pair find each other.
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _TERMINAL.sub("", text).translate(_CONTROLS)
        text = unicodedata.normalize("NFC", _MARKS.sub(_loosened, text))
        if text == before:
            break
    return text


def _loosened(found: re.Match[str]) -> str:
    """No more marks in a row than anybody writes: sorting a run takes the square of its length."""
    out, run = [], 0
    for character in found[0]:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > _MOST_MARKS:
            out.append(_JOINER)
            run = 1
        out.append(character)
    return "".join(out)


def _resolve(match: re.Match[str]) -> str:
    """The characters of one entity; what it doesn't know stays."""
    entity = match[0]
    if entity.startswith("&#"):
        found = html.unescape(entity)
        return entity if ";" in found else found
    name = entity[1:]
    if name in html5:
        return html5[name]
    # "P&EACUTE;REZ": names written in capitals along with the word around them.
    if name == name.upper() and name.lower() in html5 and html.unescape(entity) == entity:
        return html5[name.lower()].upper()
    return entity


@cache
def _look_alikes() -> dict[int, str]:
    """Characters that stand for plainer ones."""
    table = {0x3000: " ", ord("ŉ"): "'n", ord("ﬅ"): "ſt"}
    for code in [0x02BC, *range(0x2018, 0x201C)]:
        table[code] = "'"
    for code in range(0x201C, 0x2020):
        table[code] = '"'
    for character in _LIGATURES:
        table[ord(character)] = unicodedata.normalize("NFKC", character)
    for code in range(0xFF01, 0xFFF0):
        plain = unicodedata.normalize("NFKC", chr(code))
        if plain != chr(code):
            table[code] = plain
    for code in range(0x80, 0xA0):
        windows = bytes([code]).decode("cp1252", "replace")
        if windows != "\ufffd":  # five codes mean nothing in Windows-1252
            table[code] = windows.translate(table)
    return table
