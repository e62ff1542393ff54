"""Chinese queries, word by word."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from galago.places import DATA
from galago.text.chinese import English, is_chinese, word_by_word

QUERIES = Path(__file__).with_name("zh_queries.txt")


def english(query: str) -> str:
    found = word_by_word(query)
    assert found is not None and not found.unknown, (query, found)
    return found.text


def test_most_of_what_people_may_look_for_is_understood() -> None:
    lines = [line for line in QUERIES.read_text("utf-8").splitlines() if line[0] != "#"]
    wrong = []
    for query, wanted in (line.split("\t") for line in lines):
        found = word_by_word(query)
        said = "" if found is None else found.text.lower()
        if not {said, said.removesuffix("s"), said.removesuffix("es")} & set(wanted.split("|")):
            wrong.append((query, said))
    assert len(lines) == 170 and len(wrong) <= 4, wrong


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("红色连衣裙", "red dress"),
        ("紅色連衣裙", "red dress"),  # in traditional characters
        ("海滩上的狗", "dog on the beach"),
        ("狗在海滩上", "dog on the beach"),
        ("桌子上有一只猫", "a cat on the table"),
        ("戴帽子的男人在公园里", "man wearing hat in the park"),
        ("在海边跑步的女孩", "girl running at the seaside"),
        ("有胡子的老人", "old person with beard"),
        ("三只黑色的猫", "three black cats"),
        ("一群人在跑步", "a group of people running"),
        ("两杯咖啡", "two cups of coffee"),
        ("没有人的海滩", "beach without people"),
        ("猫和狗", "cat and dog"),
        ("酒吧", "bar"),  # whose last character also asks
        ("地图", "map"),  # whose last character is also a picture
    ],
)
def test_what_describes_stands_where_english_has_it(query: str, wanted: str) -> None:
    assert english(query) == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("红色 dress", "red dress"),
        ("red 连衣裙", "red dress"),
        ("　红色，连衣裙。", "red, dress"),
        ("ＢＭＷ汽车", "BMW car"),
        ("穿Ｔ恤的人", "person wearing t-shirt"),
        ("３只猫", "three cats"),
        ("120只猫", "120 cats"),
        ("红\u200b色\x07连衣裙\n", "red dress"),
        ("请帮我找一下红色连衣裙的照片", "red dress"),
        ("我的猫", "cat"),
    ],
)
def test_letters_numbers_and_what_people_say_around(query: str, wanted: str) -> None:
    assert english(query).replace(" ", "") == wanted.replace(" ", "")


def test_what_is_not_known_is_told_not_guessed() -> None:
    assert word_by_word("鬽魊红裙子") == English("red skirt", ("鬽魊",))
    assert word_by_word("💃红裙子") == English("red skirt", ("💃",))


@pytest.mark.parametrize("query", ["的", "了吗", "在上的有", "和", "一", "鬽魊", "？！", ""])
def test_nothing_understood_is_nothing(query: str) -> None:
    assert word_by_word(query) is None


@pytest.mark.parametrize(
    "query", ["a dog", "赤いドレス", "犬の写真", "빨간 옷 紅", "собака", "2026"]
)
def test_other_languages_are_left_alone(query: str) -> None:
    assert not is_chinese(query) and word_by_word(query) is None


def test_any_text_is_borne() -> None:
    draw = random.Random(7)
    signs = "红色的在上有一只和没有狗猫人照片请找a 1é½İß²٣①💃\u0301\u200d\ud7ff。，\n\t\x00𠀀"
    for _ in range(2000):
        text = "".join(draw.choice(signs) for _ in range(draw.randrange(30)))
        found = word_by_word(text)
        assert found is None or found.text.strip() == found.text != ""
    assert len(english("红" * 100_000)) < 10_000


def test_the_list_says_whose_it_is_and_stays_small() -> None:
    """CC BY-SA: who made it, that it is changed, and its licence, in the file and in NOTICE."""
    path = DATA / "zh-en.txt"
    lines = path.read_text("utf-8").splitlines()
    head = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    for told in ("CC-CEDICT", "MDBG", "Paul Andrew Denisowski", "changed", "by-sa/4.0"):
        assert told in head
    assert "zh-en.txt" in (DATA.parents[1] / "NOTICE").read_text("utf-8")
    assert path.stat().st_size < 300_000
    pairs, *words = (line for line in lines if not line.startswith("#"))
    assert len(pairs) % 2 == 0 and all(line.count("\t") == 1 for line in words)
    assert all(line.split("\t")[1].isascii() for line in words)
