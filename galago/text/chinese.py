"""Chinese queries in English, word by word: of 红色连衣裙 it makes "red dress".

No translation: a list of words (galago/data/zh-en.txt, from CC-CEDICT), the longest that fits
first, as Chinese has no blanks, and the little grammar that queries have: what is described stands
behind 的, places before 上 or 里, counts before a measure word. What isn't in the list is told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from galago.places import DATA

__all__ = ["English", "is_chinese", "word_by_word"]

Kind = Literal["word", "doing", "of", "place", "at", "with", "count", "holder", "unknown"]


@dataclass(frozen=True)
class English:
    """A query in English, and the parts of it that nobody here understands."""

    text: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Token:
    kind: Kind
    text: str


def _words(kind: Kind, table: str) -> dict[str, _Token]:
    """Of "上面,上:on the …": the tokens by their Chinese."""
    pairs = (entry.split(":") for entry in table.split("  "))
    return {one: _Token(kind, english) for many, english in pairs for one in many.split(",")}


_GRAMMAR = {
    **_words("of", "的,之:"),
    **_words("at", "在,位于,正在:"),
    **_words("with", "有,带,带着,带有:with"),
    **_words("doing", "没有,没,无:without"),
    **_words("word", "和,与,跟,及,以及,还有:and  或,或者:or"),
    **_words(
        "place",
        "上,上面,之上:on the  里,里面,中,内,里边,当中:in the  下,下面,底下:under the  "
        "旁,旁边,边上:beside the  前,前面:in front of the  后,后面,背后:behind the  "
        "附近:near the  外,外面:outside the",
    ),
    **_words(
        "count",
        "一,一个:a  二,两,俩:two  三:three  四:four  五:five  六:six  七:seven  八:eight  九:nine  "
        "十:ten  几:several  许多,很多,好多,多:many  一些:some  这,这个:this  那,那个:that",
    ),
}
_SENSELESS = (_GRAMMAR["和"], _GRAMMAR["或"], _GRAMMAR["没有"])  # by themselves
_ONE = frozenset({"a", "1", "this", "that"})
# Behind a count: those that are things themselves, and those that only count.
_HOLDERS = {
    "杯": "cup of", "瓶": "bottle of", "碗": "bowl of", "盘": "plate of", "盒": "box of",
    "袋": "bag of", "束": "bunch of", "群": "group of", "片": "slice of", "堆": "pile of",
    "篮": "basket of", "双": "pair of", "对": "pair of", "罐": "can of", "壶": "pot of",
    "排": "row of", "串": "string of",
}  # fmt: skip
_SEVERAL = ("group of", "row of", "bunch of", "pile of", "basket of")
_MEASURES = frozenset(
    "个個只隻条條张張件把朵辆輛头頭匹座位名本台架艘栋棟间間幅颗顆粒块塊根支枝株棵顶頂套副口家场場道所面扇盏盞滴份种種"
)
# What people say around a query, and what a photo is called at its end.
_ASKED = re.compile(
    "^(请|麻烦|帮我|帮忙|给我|替我|我想要|我想|我要|想要|查找|寻找|搜索|搜一下|搜|找一下|找出|找|看看|显示|有没有|所有的?)+"
)
_PHOTOS = re.compile("(的?(照片|图片|相片|图像|影像)|的[相图照])?[吗呢]*$")
_EMPTY = frozenset("我你您他她它们咱了着著过過地得們就都很也正是被把将将")
_LATIN = re.compile("[A-Za-zÀ-ɏ]+(?:['’-][A-Za-zÀ-ɏ]+)*|[0-9]+")
_HAN = re.compile("[㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]")
_OTHER_WRITING = re.compile("[\u3041-\u30ff\uac00-\ud7a3\u1100-\u11ff]")  # kana, hangul
_LONGEST = 6
_MOST = 2000  # characters; more is no query


def is_chinese(text: str) -> bool:
    """Whether it has Chinese characters, and none of Japanese's or Korean's own."""
    return bool(_HAN.search(text)) and not _OTHER_WRITING.search(text)


def word_by_word(text: str) -> English | None:
    """The query in English as far as the list goes; None for what isn't Chinese, or when no word
    of it is known. Latin letters and numbers in it stay."""
    if not is_chinese(text):
        return None
    clauses: list[str] = []
    unknown: list[str] = []
    known = False
    for clause in re.split(r"[,.;:!?、。·…\n()\[\]{}《》<>「」“”\"|/]+", _plain(text[:_MOST])):
        clause = _PHOTOS.sub("", _ASKED.sub("", clause.strip())) or clause.strip()
        tokens = list(_tokens(clause))
        unknown += [token.text for token in tokens if token.kind == "unknown"]
        known = known or any(
            token.kind in ("word", "doing") and token not in _SENSELESS for token in tokens
        )
        if english := _Clause(tokens).text:
            clauses.append(english)
    if not known or not clauses:
        return None
    return English(", ".join(clauses), tuple(dict.fromkeys(unknown)))


def _plain(text: str) -> str:
    """Letters of full width as others, traditional characters as simplified, nothing unseen."""
    shown = "".join(
        " " if unicodedata.category(one) in ("Cc", "Zs") else one
        for one in unicodedata.normalize("NFKC", text)
        if unicodedata.category(one) not in ("Cf", "Mn")
    )
    return shown.translate(_lexicon()[1])


@cache
def _lexicon() -> tuple[dict[str, str], dict[int, str]]:
    """The list by words, and simplified characters by traditional ones; read on first use."""
    text = (DATA / "zh-en.txt").read_text("utf-8")
    pairs, *lines = text[text.rindex("\n# ") :].split("\n", 2)[2].splitlines()
    words = dict(line.split("\t", 1) for line in lines)
    return words, dict(zip(map(ord, pairs[::2]), pairs[1::2], strict=True))


def _tokens(clause: str) -> Iterator[_Token]:
    words, _ = _lexicon()
    low = clause.casefold() if len(clause.casefold()) == len(clause) else clause
    at, unknown = 0, ""
    counted = False
    while at < len(low):
        found, length = _longest(words, low, at)
        if counted and low[at] in _HOLDERS and length <= 1:
            holder = _HOLDERS[low[at]]
            found, length = _Token("holder", holder), 1
        elif counted and low[at] in _MEASURES and length <= 1:
            found, length = None, 1
        elif found is None and (latin := _LATIN.match(clause, at)):
            name = latin[0]
            found = _Token("count" if name.isdigit() else "word", _number(name))
            length = len(name)
        elif found is None and (low[at].isspace() or low[at] in _EMPTY):
            length = 1
        elif found is None:
            unknown, at, counted = unknown + low[at], at + 1, False
            continue
        if unknown:
            yield _Token("unknown", unknown)
            unknown = ""
        if found is not None:
            yield found
        counted = found is not None and found.kind == "count"
        at += length
    if unknown:
        yield _Token("unknown", unknown)


def _longest(words: dict[str, str], text: str, at: int) -> tuple[_Token | None, int]:
    """The longest word that begins here, and how long it is."""
    for length in range(min(_LONGEST, len(text) - at), 0, -1):
        part = text[at : at + length]
        if part in _GRAMMAR:
            return _GRAMMAR[part], length
        if english := words.get(part):
            doing = english.startswith("~")
            return _Token("doing" if doing else "word", english.removeprefix("~")), length
    return None, 0


def _number(digits: str) -> str:
    named = ("zero", "one", *(_GRAMMAR[one].text for one in "二三四五六七八九十"))
    return (
        named[int(digits)]
        if digits.isdecimal() and len(digits) < 3 and int(digits) < len(named)
        else digits
    )


class _Clause:
    """Tokens in the order of English: what describes, the thing, what it does, where."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._count: list[str] = []
        self._front: list[str] = []
        self._thing: list[str] = []
        self._doing: list[str] = []
        self._where: list[str] = []
        self._now: list[str] = []  # since the last boundary
        self._acts = self._at = self._many = False
        for token in tokens:
            self._take(token)
        self._end()
        if self._many and self._thing:
            self._thing[_noun(self._thing)] = _plural(self._thing[_noun(self._thing)])
        parts = [*self._count, *self._front, *self._thing, *self._doing, *self._where]
        self.text = " ".join(filter(None, parts))

    def _take(self, token: _Token) -> None:
        if token.kind == "word":
            self._now.append(token.text)
        elif token.kind == "count":
            # Of the thing, unless something is counted that it has or does: a man with two dogs.
            counted = bool(self._thing or self._now or self._acts or self._count)
            (self._now if counted else self._count).append(token.text)
            self._many = self._many or not (counted or token.text in _ONE)
        elif token.kind == "holder":
            self._hold(token.text)
        elif token.kind == "doing" or (token.kind == "with" and not self._now and not self._where):
            self._act(token.text)
        elif token.kind == "with" and self._now:
            self._thing += [*self._now, token.text]
            self._now = []
        elif token.kind == "place" and self._now:
            self._place(token.text)
        elif token.kind == "at":
            self._settle()
            self._at = True
        elif token.kind == "of":
            self._describe()

    def _hold(self, holder: str) -> None:
        """A cup of coffee, two cups of coffee, a group of people."""
        if self._now or self._thing or self._acts:
            self._now.append(holder)
        elif holder in _SEVERAL:
            self._count.append(holder)
            self._many = True
        else:
            first, _, rest = holder.partition(" ")
            self._count.append(f"{_plural(first)} {rest}" if self._many else holder)
            self._many = False

    def _act(self, text: str) -> None:
        if self._at and self._now:
            self._place("at the")
        elif not self._at and self._now and not self._acts:
            self._thing += self._now
            self._now = []
        self._at = False
        self._now.append(text)
        self._acts = True

    def _place(self, preposition: str) -> None:
        self._where.append(" ".join([preposition, *self._now]))
        self._now, self._at, self._acts = [], False, False

    def _describe(self) -> None:
        """What stood before 的."""
        if self._at and self._now:
            self._place("at the")
        elif self._acts:
            self._doing.append(" ".join([*self._thing, *self._now]))
            self._thing = []
        else:
            self._front += [*self._thing, *self._now]
            self._thing = []
        self._now, self._acts, self._at = [], False, False

    def _settle(self) -> None:
        if self._acts:
            self._doing.append(" ".join(self._now))
        else:
            self._thing += self._now
        self._now, self._acts = [], False

    def _end(self) -> None:
        if self._at and self._now:
            self._place("at the")
        self._settle()


def _noun(words: Sequence[str]) -> int:
    """Where the thing stands that a count belongs to."""
    ends = [at for at, word in enumerate(words) if word in ("and", "or", "with")]
    return max(0, (ends[0] if ends else len(words)) - 1)


_IRREGULAR = {
    "person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice",
    "foot": "feet", "goose": "geese", "tooth": "teeth", "leaf": "leaves", "knife": "knives",
    "wolf": "wolves", "shelf": "shelves",
}  # fmt: skip
_SAME = frozenset({"fish", "sheep", "deer", "people", "fruit", "food", "rice", "water", "grass"})


def _plural(words: str) -> str:
    head, _, noun = words.rpartition(" ")
    if noun in _SAME or (noun.endswith("s") and not noun.endswith(("ss", "us"))):
        return words
    if noun in _IRREGULAR:
        noun = _IRREGULAR[noun]
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        noun = f"{noun[:-1]}ies"
    else:
        noun += "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{head} {noun}".strip()
