"""What galago's own code makes of Chinese queries, for the browser to make too, as JSON."""

# ruff: noqa: E501 - tables of inputs
from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from galago.places import DATA
from galago.text import queries

QUERIES = Path(__file__).parents[2] / "tests" / "text" / "zh_queries.txt"
# Grammar, measure words, what people say around a query, letters of other kinds.
PIECES = (
    *"的之在有带没无和与跟或上里下旁前后外中内一二两三四五七十几那这个只条张杯瓶群束双对片堆排串我你了着吗呢找搜请",
    "位于", "正在", "带着", "没有", "以及", "或者", "上面", "里面", "底下", "旁边", "后面", "附近", "一个", "许多", "一些", "两只", "三个",
    "帮我", "请找", "我想要", "有没有", "所有的", "的照片", "照片", "的图", "图片吗", "T恤", "iPhone", "New York", "l’été", "STRASSE",
    "Straße", "İstanbul", "2", "12", "007", "10", "3.5", "，", "。", "、", "！", "…", "(", ")", "《", "|", "/", " ", "\u3000", "\n",
    "\u2028", "\u200b", "\u202e", "\ufeff", "é", "e\u0301", "ｋ线", "ＫＦＣ", "①", "㎡", "連衣裙", "紅色", "貓", "鬽魊", "𠮷", "👨‍👩‍👧", "ß",
    "привет", "мир", "Σίσυφος", "ﬁsh", "ſ", "孩子", "踢足球", "人", "鱼", "叶子", "蛋糕", "城市",
)  # fmt: skip
OTHERS = (
    "",
    " ",
    "red dress",
    "日本語のテキスト",
    "강아지",
    "Привет мир",
    "café",
    "ª 1",
    "红" * 3000,
    "犬とねこ",
)


def _drawn() -> list[str]:
    """Queries of known words, grammar and odd letters, drawn at random."""
    lines = (DATA / "zh-en.txt").read_text("utf-8").splitlines()
    words = [line.split("\t")[0] for line in lines if "\t" in line]
    draw = random.Random(7)
    return [
        "".join(
            draw.choice(words) if draw.random() < 0.5 else draw.choice(PIECES)
            for _ in range(draw.randint(1, 9))
        )
        for _ in range(4000)
    ]


def main() -> None:
    written = [line.split("\t")[0] for line in QUERIES.read_text("utf-8").splitlines()]
    asked = [*written, *_drawn(), *OTHERS]
    read = [queries.read(text, "model") for text in asked]
    pairs = [(read[at : at + 1], read[at + 1 : at + 2]) for at in range(0, len(read) - 1, 7)]
    told = {
        "read": [[one.typed, one.text, list(one.notes)] for one in read],
        "as_typed": [[text, list(queries.as_typed(text, "model").notes)] for text in asked[::5]],
        "instead": [queries.searched_for(*pair) for pair in pairs],
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
