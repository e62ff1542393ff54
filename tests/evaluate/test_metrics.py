"""Metrics beside transcriptions of the papers' formulas, on generated answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galago.evaluate.metrics import METRICS, letter_of, metric_named

TEXTS = st.text("aB 1.c", max_size=6)
ANSWERS = st.lists(st.text("aB 1.c", min_size=1, max_size=6), min_size=1, max_size=3)
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: f"{value:.3f}")


def score(name: str, said: str, *answers: str, choices: tuple[str, ...] = ()) -> float:
    return METRICS[name].score(said, answers, choices)


def levenshtein(a: str, b: str) -> int:
    """The table in full (Wagner and Fischer 1974)."""
    table = [[i + j if i * j == 0 else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            steps = table[i - 1][j] + 1, table[i][j - 1] + 1
            table[i][j] = min(*steps, table[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
    return table[-1][-1]


@given(TEXTS, ANSWERS)
def test_anls_is_its_formula(said: str, answers: list[str]) -> None:
    """https://arxiv.org/abs/1907.00490, equation 1, with tau = 0.5."""
    best = 0.0
    reply = " ".join(said.split()).lower()
    for answer in answers:
        wanted = " ".join(answer.split()).lower()
        longest = max(len(reply), len(wanted))
        distance = levenshtein(reply, wanted) / longest if longest else 0.0
        best = max(best, 1 - distance if distance <= 0.5 else 0.0)
    assert score("anls", said, *answers) == pytest.approx(best)


@given(NUMBERS, st.floats(-0.2, 0.2))
def test_relaxed_numbers_are_within_a_twentieth(answer: str, off: float) -> None:
    """https://arxiv.org/abs/2203.10244, section 5."""
    wanted = float(answer)
    said = f"{wanted * (1 + off):.9f}"
    share = abs(float(said) - wanted) / abs(wanted) if wanted else abs(float(said))
    if abs(share - 0.05) > 1e-6:  # not where rounding decides
        assert score("relaxed", said, answer) == float(share <= 0.05)


@pytest.mark.parametrize(
    ("said", "answer", "right"),
    [
        ("1,050", "1000", 1),
        ("1,0501", "1000", 0),
        ("10.6", "10", 0),
        ("5%", "0.05", 1),
        ("Blue ", "blue", 1),
        ("blue sky", "blue", 0),
        ("0.0", "0", 1),
        ("0.01", "0", 0),
        ("-3", "3", 0),
        ("10 cats", "10", 0),
        (".", "0", 0),
        ("1e400", "5", 0),
    ],
)
def test_relaxed_one_by_one(said: str, answer: str, right: int) -> None:
    assert score("relaxed", said, answer) == right


@given(TEXTS, ANSWERS)
def test_exact_contains_and_verbatim(said: str, answers: list[str]) -> None:
    def plain(text: str) -> str:
        words = re.sub(r"\.(?!\d)", "", text.lower()).split() or text.split()
        return " ".join([word for word in words if word != "a"] or words)

    wanted = [plain(answer) for answer in answers]
    exact = float(plain(said) in wanted)
    assert score("exact", said, *answers) == score("any-of", said, *answers) == exact
    inside = [one for one in wanted if one.strip(".") and f" {one} " in f" {plain(said)} "]
    if inside:
        assert score("contains", said, *answers) == 1
    folded = [" ".join(answer.split()) for answer in answers]
    assert score("verbatim", said, *answers) == float(" ".join(said.split()) in folded)


@pytest.mark.parametrize(
    ("said", "answer", "right"),
    [
        ("It is a golden retriever.", "golden retriever", 1),
        ("a catalogue", "cat", 0),
        ("the concat", "cat", 0),
        ("There are two dogs", "2", 1),
        ("那是一只红色的猫。", "红色", 1),
        ("nothing", "...", 0),  # an answer of which nothing is left
        ("C++ code", "c", 1),
        ("price: $5", "$5", 1),
    ],
)
def test_contains_whole_words(said: str, answer: str, right: int) -> None:
    assert score("contains", said, answer) == right


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(c)", "C"), ("B.", "B"), ("B. green", "B"), ("b) green", "B"),
        ("green", "B"), ("Green.", "B"), ("The answer is C.", "C"), ("Answer: (d)", "D"),
        ("A dog is shown", None), ("The answer is a dog", None), ("I think B", "B"),
        ("B or C", None), ("It is (a).", "A"), ("", None), ("E", None), ("option B, not C", "B"),
        ("A: red", "A"), ("Because", None), ("D'accord", None),
    ],
)  # fmt: skip
def test_the_letter_that_a_reply_chooses(said: str, letter: str | None) -> None:
    choices = ("red", "green", "blue", "none of them")
    assert letter_of(said, choices) == letter
    for answer in ("A", "B", "C", "D"):
        assert score("choice", said, answer, choices=choices) == float(letter == answer)
    assert score("choice", said, "green", choices=choices) == float(letter == "B")


@given(TEXTS, st.text("aB1", min_size=1, max_size=6))
def test_characters_give_the_error_rate(said: str, answer: str) -> None:
    metric = METRICS["characters"]
    edits = (1 - metric.score(said, [answer], ())) * metric.weight([answer])
    assert edits == pytest.approx(levenshtein(answer, " ".join(said.split())))


def test_signs_are_told_apart() -> None:
    assert score("exact", "+", "-") == score("exact", "", "?") == 0
    assert score("choice", "+", "A", choices=("+", "-")) == 1


def test_names() -> None:
    assert metric_named("Any_Of") is METRICS["any-of"] and metric_named("bleu") is None
    assert {name for name, one in METRICS.items() if one.graded} == {"anls", "characters"}
