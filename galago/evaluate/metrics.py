"""How an answer is judged: the metrics of the papers, by their names.

exact, any-of   equal to an answer after the normalisation of VQA's papers (galago.evaluate.words)
contains        an answer stands in the reply, as whole words, after the same normalisation
anls            DocVQA's (https://arxiv.org/abs/1907.00490): 1 - edit distance / longer length, of
                the best answer, without case; 0 below 0.5
relaxed         ChartQA's (https://arxiv.org/abs/2203.10244): numbers within 5 % of the answer;
                other texts equal without case
choice          the letter that the reply chooses
verbatim        letter for letter, but for white space
characters      1 - edits / letters of the answer, so that 1 - their mean weighed by letters is the
                character error rate
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from galago.evaluate.words import normalised
from galago.text.edits import character_errors, edit_distance, folded

__all__ = ["METRICS", "Metric", "letter_of", "metric_named"]

_NEAR = 0.05  # relaxed: the share of the answer by which a number may be off
_LEAST = 0.5  # anls: what is less alike than that is no misreading
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Metric:
    """`score` of (reply, right answers, choices), at most 1; from `right_from` on it is right.

    graded: whether there is something between right and wrong.  by_letters: whether an answer
    counts by its length.
    """

    name: str
    score: Callable[[str, Sequence[str], Sequence[str]], float]
    right_from: float = 1.0
    graded: bool = False
    by_letters: bool = False

    def weight(self, answers: Sequence[str]) -> float:
        """How much an answer counts in a mean."""
        return float(len(folded(answers[0]))) if self.by_letters else 1.0


def _exact(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    return float(normalised(said) in {normalised(answer) for answer in answers})


def _contains(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    reply = normalised(said)
    return float(any(_stands_in(normalised(answer), reply) for answer in answers))


def _stands_in(answer: str, reply: str) -> bool:
    """Whether whole words; writing without blanks between words has no such borders."""
    before = r"(?<!\w)" if _spaced(answer[:1]) else ""
    after = r"(?!\w)" if _spaced(answer[-1:]) else ""
    return bool(answer) and re.search(f"{before}{re.escape(answer)}{after}", reply) is not None


def _spaced(letter: str) -> bool:
    return letter.isalnum() and not "\u0e00" <= letter <= "\u0eff" and not letter >= "\u2e80"


def _anls(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    best = max(_alike(folded(said).lower(), folded(answer).lower()) for answer in answers)
    return best if best >= _LEAST else 0.0


def _alike(said: str, answer: str) -> float:
    longer = max(len(said), len(answer))
    return 1 - edit_distance(said, answer) / longer if longer else 1.0


def _relaxed(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    return float(any(_near(said, answer) for answer in answers))


def _near(said: str, answer: str) -> bool:
    value, wanted = _number(said), _number(answer)
    if value is None or wanted is None:
        return folded(said).lower() == folded(answer).lower()
    return abs(value - wanted) <= _NEAR * abs(wanted)


def _number(text: str) -> float | None:
    """A number with perhaps commas at thousands, and hundredths where a per cent sign follows."""
    text = text.strip()
    percent = text.endswith("%")
    text = text.rstrip("%").rstrip()
    if not text or not _NUMBER.fullmatch(text) or not any(map(str.isdecimal, text)):
        return None
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value / 100 if percent else value


def _choice(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    chosen = letter_of(said, choices)
    return float(chosen is not None and chosen in {letter_of(one, choices) for one in answers})


def letter_of(text: str, choices: Sequence[str] = ()) -> str | None:
    """The letter that a reply chooses, None where it chooses none.

    By its beginning ("B", "(b)", "B. red"), else the words of a choice, else the only letter behind
    "answer is" or "option", else the only one that stands in brackets or alone.
    """
    text = text.strip()
    letters = _LETTERS[: len(choices)] if choices else _LETTERS
    known = f"[{letters}{letters.lower()}]"
    if begun := re.match(rf"\(?({known})(?:\)|[.:,)](?!\w)|\s*$)", text):
        return begun[1].upper()
    by_words = {normalised(one): letter for letter, one in zip(letters, choices, strict=False)}
    if normalised(text) in by_words:
        return by_words[normalised(text)]
    told = re.findall(rf"(?i:answer is|answer:|option)\s*(?:\(({known})\)|([{letters}])\b)", text)
    if not told:  # "A" and "I" alone are words of a sentence
        told = re.findall(rf"\(({known})\)|\b((?![AI])[{letters}])\b(?!')", text)
    found = {(bracketed or bare).upper() for bracketed, bare in told}
    return found.pop() if len(found) == 1 else None


def _verbatim(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    return float(folded(said) in {folded(answer) for answer in answers})


def _characters(said: str, answers: Sequence[str], choices: Sequence[str]) -> float:
    wrong, letters = character_errors(answers[0], said)
    return 1 - wrong / letters


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("exact", _exact),
        Metric("any-of", _exact),
        Metric("contains", _contains),
        Metric("anls", _anls, _LEAST, graded=True),
        Metric("relaxed", _relaxed),
        Metric("choice", _choice),
        Metric("verbatim", _verbatim),
        Metric("characters", _characters, graded=True, by_letters=True),
    )
}


def metric_named(name: str) -> Metric | None:
    """The metric of a name, in any case and with _ for -; None where there is none."""
    return METRICS.get(name.strip().lower().replace("_", "-"))
