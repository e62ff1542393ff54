"""What repeats itself for ever, and what only seems to."""

from __future__ import annotations

import re

import pytest

from galago.vlm.loops import Loop


def ended(ids: list[int]) -> int | None:
    """After how many ids an end is put to it."""
    loop = Loop()
    for count, token_id in enumerate(ids, 1):
        loop.push(token_id)
        assert loop.suspected or not loop.endless
        if loop.endless:
            return count
    return None


def letters(text: str) -> list[int]:
    """An id a letter: what repeats is longest so."""
    return [ord(letter) for letter in text]


def words(text: str) -> list[int]:
    """An id a word, a digit or a mark, about as tokenisers have it."""
    return [hash(one) for one in re.findall(r"[^\W\d]+|.|\n", text)]


@pytest.mark.parametrize("period", [1, 2, 3, 7, 16, 25, 64])
def test_circles_are_noticed(period: int) -> None:
    begin = list(range(1000, 1037))
    found = ended(begin + [*range(period)] * 200)
    assert found == len(begin) + max(128, 8 * period)


def test_a_stumble_begins_anew() -> None:
    assert ended([*[1, 2] * 60, 3] * 4) is None
    assert ended([*[1, 2] * 60, 3] + [1, 2] * 64) == 121 + 128


def test_circles_that_are_longer_are_not_looked_for() -> None:
    assert ended([*range(65)] * 20) is None


TRUE = {
    "refrain": "Row, row, row your boat, gently down the stream.\n"
    "Merrily, merrily, merrily, merrily, life is but a dream.\n" * 4,
    "chorus": "She loves you, yeah, yeah, yeah\n" * 3 + "With a love like that\n" * 2,
    "contents": "".join(
        f"{n}. {title} {'.' * (70 - len(title))} {n * 7}\n"
        for n, title in enumerate(["Beginnings", "The middle", "Endings", "Notes", "Index"], 1)
    ),
    "counting": "".join(f"{n}, " for n in range(1, 200)),
    "zeros": "0" * 100,
    "digits": "3.14159265358979323846264338327950288419716939937510582097494459230781640628620",
    "account": "DE00 0000 0000 0000 0000 00 / 0000000000 / 000000",
    "ruler": "-" * 120 + "\nTotal  12.50\n" + "=" * 120 + "\n",
    "table": "".join(
        f"| {name} | 0 | 0 | 0 | {n} | 0 |\n" for n, name in enumerate("ABCDEFGHIJKLMNOP")
    ),
    "identity": "".join(
        " ".join("1" if row == column else "0" for column in range(10)) + "\n" for row in range(10)
    ),
    "form": "Name: ____________________\n" * 4 + "[ ] yes  [ ] no\n" * 7,
    "code": "for (int i = 0; i < n; i++) {\n    a[i] = 0;\n    b[i] = 0;\n    c[i] = 0;\n}\n" * 3
    + "}\n" * 6,
    "laughter": "ha" * 40 + "!" * 20,
    "binary": "".join(f"{n:08b} " for n in range(40)),
}


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize("ids", [letters, words])
def test_true_texts_are_not_cut(name: str, ids: object) -> None:
    assert ended(ids(TRUE[name])) is None  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    ["ban" + "ana" * 200, "It is a cat. " * 60, "The image shows a dog and a cat.\n" * 40],
)
def test_what_models_fall_into(text: str) -> None:
    assert ended(words(text) if " " in text else letters(text)) is not None


def test_suspicion_comes_early_and_goes() -> None:
    loop = Loop()
    seen = []
    for token_id in [1, 2, 3, *[7] * 14, 4, 5]:
        loop.push(token_id)
        seen.append(loop.suspected)
    assert seen.index(True) == 3 + 12 - 1 and seen[-2:] == [False, False]
