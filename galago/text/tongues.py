"""Languages as people name them: German, de, Deutsch and 德语 are one; a model is told in English.

The table has the languages that Qwen2, FastVLM's language model, was taught as its makers say
(https://qwenlm.github.io/blog/qwen2/): English, Chinese and 27 more. A package such as Babel or
langcodes knows thousands, at 5 to 30 MB, and not which of them the model speaks.
"""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from functools import cache

from galago.errors import OptionError

__all__ = ["TONGUES", "Tongue", "language_named"]


@dataclass(frozen=True)
class Tongue:
    """A language: its name in English, as a model is asked for it, and what else it is called: its
    code (ISO 639, BCP 47), itself in its own words first, its name in Chinese."""

    name: str
    code: str
    called: tuple[str, ...]

    @property
    def own(self) -> str:
        """Its name in its own words."""
        return self.called[0]


def _rows(table: str) -> tuple[Tongue, ...]:
    lines = (line.split(" | ") for line in table.strip().splitlines())
    return tuple(Tongue(name, code, tuple(called.split(", "))) for name, code, called in lines)


TONGUES = _rows("""
English | en | English, eng, 英语, 英文
Chinese | zh | 中文, zho, chi, 汉语, 漢語, 华语, 普通话, 國語, 国语, Mandarin, Mandarin Chinese
Spanish | es | Español, spa, Castellano, Castilian, 西班牙语, 西语
French | fr | Français, fra, fre, 法语, 法文
German | de | Deutsch, deu, ger, 德语, 德文
Portuguese | pt | Português, por, 葡萄牙语, 葡语
Italian | it | Italiano, ita, 意大利语, 意语
Dutch | nl | Nederlands, nld, dut, Flemish, Vlaams, 荷兰语
Russian | ru | Русский, rus, русский язык, 俄语, 俄文
Czech | cs | Čeština, ces, cze, český, 捷克语
Polish | pl | Polski, pol, język polski, 波兰语
Arabic | ar | العربية, ara, عربي, 阿拉伯语
Persian | fa | فارسی, fas, per, Farsi, 波斯语
Hebrew | he | עברית, heb, iw, 希伯来语
Turkish | tr | Türkçe, tur, 土耳其语
Japanese | ja | 日本語, jpn, jp, 日语, 日文
Korean | ko | 한국어, kor, 한국말, 조선말, 韩语, 韩文, 朝鲜语
Vietnamese | vi | Tiếng Việt, vie, 越南语
Thai | th | ไทย, tha, ภาษาไทย, 泰语
Indonesian | id | Bahasa Indonesia, ind, 印尼语, 印度尼西亚语
Malay | ms | Bahasa Melayu, msa, may, 马来语
Lao | lo | ລາວ, lao, ພາສາລາວ, 老挝语
Burmese | my | မြန်မာ, mya, bur, မြန်မာဘာသာ, 缅甸语
Cebuano | ceb | Cebuano, Sinugboanon, 宿务语
Khmer | km | ខ្មែរ, khm, ភាសាខ្មែរ, Cambodian, 高棉语, 柬埔寨语
Tagalog | tl | Tagalog, tgl, fil, Filipino, Wikang Tagalog, 他加禄语, 菲律宾语
Hindi | hi | हिन्दी, hin, हिंदी, 印地语
Bengali | bn | বাংলা, ben, Bangla, 孟加拉语
Urdu | ur | اردو, urd, 乌尔都语
Simplified Chinese | zh-Hans | 简体中文, zh-CN, zh-SG, 简体, 简体字, 简中, Chinese Simplified
Traditional Chinese | zh-Hant | 繁體中文, zh-TW, zh-HK, 繁体中文, 繁体, 繁體, 繁体字, 正體中文
Brazilian Portuguese | pt-BR | Português do Brasil, Português brasileiro, Portuguese Brazilian
European Portuguese | pt-PT | Português europeu, Português de Portugal
British English | en-GB | British, en-UK, 英式英语
American English | en-US | American, 美式英语
""")


def language_named(text: str) -> str:
    """The English name of a language that is named in English, by its code or in its own words.

    More words about a known one stay as they are: "simple German".  Raises OptionError, with the
    nearest name, for what names none.
    """
    given = " ".join(text.split())
    key = _key(given)
    names = _names()
    if key in names:
        return names[key]
    if key.split("-")[0] in _codes() and len(key) <= 11:  # de-AT: a region of a known language
        return names[key.split("-")[0]]
    words = key.split(" ")
    if len(words) > 1 and any(word in names for word in words):
        return given
    near = difflib.get_close_matches(key[:60], names, 1, 0.7)
    if near:
        hint = f"did you mean {names[near[0]]}?"
    else:
        known = ", ".join(one.name for one in TONGUES if "-" not in one.code)
        hint = f"it speaks {known}; a prompt of your own may ask for any other"
    raise OptionError(f"no language of the model's is called {given[:60]!r}: {hint}")


@cache
def _names() -> dict[str, str]:
    return {
        _key(called): one.name for one in TONGUES for called in (one.code, *one.called, one.name)
    }


@cache
def _codes() -> frozenset[str]:
    return frozenset(one.code.lower() for one in TONGUES if "-" not in one.code)


def _key(text: str) -> str:
    """Without capitals, accents, and the difference of "_" and "-"."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(one for one in plain if not ("̀" <= one <= "ͯ"))
    return unicodedata.normalize("NFC", letters).replace("_", "-").strip(" .")
