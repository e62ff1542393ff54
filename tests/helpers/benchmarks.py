"""A dozen questions of each benchmark of `galago evaluate vlm`, made here, in the columns of its
data set: what lmms-eval's own task files read, without the hub.

With each stands what a model says to it and the score that this has, worked out by hand from the
benchmark's own rules: `tests/evaluate/vlm` has it said, and compares.

    python -m tests.helpers.benchmarks FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["STAND_INS", "Asked", "StandIn", "picture", "write_stand_ins"]

_EXAMPLES = Path(__file__).parents[2] / "examples"
_SIDE = 192  # of the pictures, which keeps them small
THINGS = (
    *("mushroom", "garlic", "pineapple", "milk", "hat", "banana", "t-shirt", "skirt"),
    *("pants", "granny smith", "red bell pepper", "shoes", "dress", "carrots", "lemon"),
    "watermelon",
)  # of examples/album, in the order of their names


def picture(number: int) -> Image.Image:
    """One of the pictures of the examples, each another."""
    places = sorted((_EXAMPLES / "album").glob("*.jpg"))
    with Image.open(places[number]) as image:
        image.thumbnail((_SIDE, _SIDE))
        return image.convert("RGB")


@dataclass(frozen=True)
class Asked:
    """A question: its columns, the number of its picture, what is said to it, and the score of
    that; None for one that doesn't count."""

    columns: Mapping[str, Any]
    picture: int
    said: str
    score: float | None


@dataclass(frozen=True)
class StandIn:
    """A task's data.

    repository, config, split: as at the hub.  image: the column of pictures, "" where they have a
    table of their own.  asked: the questions.  prompt: all of the text that the first question
    reaches the model with.  figure: lmms-eval's figure of what is said; the mean of the scores
    unless another is told.
    """

    task: str
    repository: str
    config: str
    split: str
    asked: Sequence[Asked]
    prompt: str
    image: str = "image"
    figure: float | None = None
    more: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def expected(self) -> float:
        if self.figure is not None:
            return self.figure
        scores = [one.score for one in self.asked if one.score is not None]
        return sum(scores) / len(scores)


_PHRASE = "\nAnswer the question using a single word or phrase."
_LETTER = "\nAnswer with the option's letter from the given choices directly."


def _gqa() -> StandIn:
    asked = []
    said = {2: "Banana", 4: "a hat.", 7: "Skirt!", 9: "apple"}
    # exact match without case and punctuation; an article is part of the answer
    scores = {2: 0.0, 4: 0.0, 7: 1.0, 9: 0.0}
    for number in range(12):
        columns = {
            "id": f"q{number}",
            "imageId": f"n{number}",
            "question": "What is shown in the picture?",
            "answer": THINGS[number],
        }
        reply = said.get(number, THINGS[number])
        asked.append(Asked(columns, number, reply, scores.get(number, 1.0)))
    return StandIn(
        *("gqa", "lmms-lab-encoder/GQA", "testdev_balanced_instructions", "testdev", asked),
        f"What is shown in the picture?{_PHRASE}",
        image="",
        more={"testdev_balanced_images": [{"id": f"n{n}", "image": n} for n in range(12)]},
    )


def _textvqa() -> StandIn:
    # the mean over the ten people left out one by one of min(1, those who say the same / 3)
    agreed = {10: 1.0, 4: 1.0, 3: 0.9, 2: 0.6, 1: 0.3, 0: 0.0}
    asked = []
    for number, same in enumerate((10, 4, 3, 2, 1, 0, 10, 3, 2, 10, 0, 10)):
        people = [THINGS[number]] * same + [f"other {at}" for at in range(10 - same)]
        columns = {
            "image_id": f"i{number}",
            "question_id": number,
            "question": "what is the name OF this?",
            "answers": people,
            "ocr_tokens": ["never", "told"],
        }
        said = f"The {THINGS[number].upper()}."  # the VQA normalisation takes all that away
        asked.append(Asked(columns, number, said, agreed[same]))
    return StandIn(
        *("textvqa_val", "lmms-lab-encoder/textvqa", "default", "validation", asked),
        f"What is the name of this?{_PHRASE}",
    )


def _seedbench() -> StandIn:
    asked = []
    said = ["A", "b", "C.", "D is it", "B", "(A)", "a", " C", "D", "A", "none", "B"]
    right = ["A", "B", "C", "D", "A", "A", "A", "C", "C", "A", "A", "B"]
    for number, (reply, letter) in enumerate(zip(said, right, strict=True)):
        moving = number == 11  # of videos there is another figure
        columns = {
            "answer": letter,
            "choice_a": "a mushroom",
            "choice_b": "garlic",
            "choice_c": "a pineapple",
            "choice_d": "milk",
            "data_id": f"d{number}",
            "data_type": "video" if moving else "image",
            "question": "Which of them is it?",
            "question_id": str(number),
        }
        score = float(reply.strip()[0].upper() == letter)
        asked.append(Asked(columns, number, reply, None if moving else score))
    return StandIn(
        *("seedbench", "lmms-lab-encoder/SEED-Bench", "default", "test", asked),
        f"Which of them is it?\nA. a mushroom\nB. garlic\nC. a pineapple\nD. milk{_LETTER}",
        image="[image]",
    )


def _docvqa() -> StandIn:
    # 1 - edits / the longer length, of the best answer; 0 below a half
    told = [
        ("Invoice 12", "invoice 12", 1.0),
        ("Invoice 13", "invoice 12", 0.9),
        ("12", "invoice 12", 0.0),
        ("May  1999", "may 1999", 1.0),
        ("June 1999", "may 1999", 0.0 if 4 / 9 >= 0.5 else 1 - 4 / 9),
        ("ab", "abcd", 0.5),
        ("a", "abcd", 0.0),
        ("total", "total", 1.0),
        ("totals", "total", 1 - 1 / 6),
        ("nothing", "total", 0.0),
        ("x y", "x y", 1.0),
        ("7", "7", 1.0),
    ]
    asked = []
    for number, (said, right, score) in enumerate(told):
        columns = {
            "questionId": str(number),
            "question": "What is the number?",
            "docId": number,
            "answers": ["quite another answer", right],
        }
        asked.append(Asked(columns, number, said, score))
    return StandIn(
        *("docvqa_val", "lmms-lab-encoder/DocVQA", "DocVQA", "validation", asked),
        f"What is the number?{_PHRASE}",
    )


def _chartqa() -> StandIn:
    told = [
        ("100", "100", 1.0),
        ("104", "100", 1.0),
        ("106", "100", 0.0),
        ("0.5", "50%", 1.0),
        ("50%", "0.5", 1.0),
        ("1,000", "1000", 0.0),  # no number to this script, so a text
        ("Green", "green", 1.0),
        ("green.", "green", 0.0),
        ("0", "0", 1.0),  # texts that are equal
        ("-95", "-100", 1.0),
        ("blue", "green", 0.0),
        ("12.4", "12", 1.0),
    ]
    asked = []
    for number, (said, right, score) in enumerate(told):
        kind = "human_test" if number % 2 else "augmented_test"
        columns = {"type": kind, "question": "How much is it?", "answer": right}
        asked.append(Asked(columns, number, said, score))
    return StandIn(
        *("chartqa", "lmms-lab-encoder/ChartQA", "default", "test", asked),
        "How much is it?\nAnswer the question with a single word.",
    )


def _ocrbench() -> StandIn:
    told = [
        ("It says HOTEL.", ["hotel"], 1.0, "Regular Text Recognition", "IIIT5K"),
        ("hot el", ["hotel"], 0.0, "Irregular Text Recognition", "SVT"),
        ("x ^ 2 + 1", ["x^2+1"], 1.0, "Handwritten Mathematical Expression Recognition", "HME100k"),
        ("X^2+1", ["x^2+1"], 0.0, "Handwritten Mathematical Expression Recognition", "HME100k"),
        ("12.50", ["12.5", "13"], 1.0, "Key Information Extraction", "SROIE"),
        ("12", ["12.5", "13"], 0.0, "Key Information Extraction", "SROIE"),
        ("ＯＰＥＮ", ["open"], 1.0, "Artistic Text Recognition", "WordArt"),
        ("the bus", ["bus"], 1.0, "Scene Text-centric VQA", "STVQA"),
        ("two lines", ["two\nlines"], 1.0, "Doc-oriented VQA", "docVQA"),
        ("", ["a"], 0.0, "Digit String Recognition", "ORAND"),
        ("pen", ["pencil"], 0.0, "Handwriting Recognition", "IAM"),
        ("vkd", ["vkd"], 1.0, "Non-Semantic Text Recognition", "NonSemanticText"),
    ]
    asked = []
    for number, (said, right, score, kind, source) in enumerate(told):
        columns = {
            "dataset": source,
            "question": "what is written in the image?",
            "question_type": kind,
            "answer": right,
        }
        asked.append(Asked(columns, number, said, score))
    return StandIn(
        *("ocrbench", "echo840/OCRBench", "default", "test", asked),
        "what is written in the image?",
    )


def _pope() -> StandIn:
    told = [
        *(("yes", "yes"), ("Yes", "yes"), ("yes", "no"), ("no", "no"), ("No", "yes"), ("no", "no")),
        *(("yes", "yes"), ("maybe", "yes"), ("yes.", "yes"), ("no", "no"), ("YES", "no")),
        ("no", "no"),
    ]
    asked = []
    for number, (said, right) in enumerate(told):
        columns = {
            "id": str(number),
            "question_id": str(number),
            "question": "Is there a mushroom in the image?",
            "answer": right,
            "image_source": f"picture {number}",
            "category": ("random", "popular", "adversarial")[number % 3],
        }
        asked.append(Asked(columns, number, said, float(said.lower() == right)))
    # said "yes" 5 times ("yes." is neither), 3 of them rightly; one was missed by a "no"
    precision, recall = 3 / 5, 3 / 4
    return StandIn(
        *("pope", "lmms-lab-encoder/POPE", "default", "test", asked),
        f"Is there a mushroom in the image?{_PHRASE}",
        figure=2 * precision * recall / (precision + recall),
    )


def _mmmu() -> StandIn:
    choices = "['a mushroom', 'garlic', 'a pineapple', 'milk']"
    told = [
        ("A", "A", 1.0),
        ("(B)", "B", 1.0),
        ("The answer is C.", "C", 1.0),
        ("D", "A", 0.0),
        ("It could be (A) but it is (C)", "C", 1.0),  # the last one counts
        ("I think that it must be garlic after all", "B", 1.0),  # longer than five words
        ("B", "D", 0.0),
        ("A", "A", 1.0),
    ]
    free = [
        ("The result is 3.14", "3.14", 1.0),
        ("so it is 1,200", "1200", 1.0),
        ("a red circle", "circle", 1.0),
        ("42", "43", 0.0),
    ]
    asked = []
    for number, (said, right, score) in enumerate([*told, *free]):
        free_one = number >= len(told)
        columns = {
            "id": f"validation_{('Art', 'Math', 'Physics')[number % 3]}_{number}",
            "question": "Look at <image 1> and say what it is.",
            "options": "[]" if free_one else choices,
            "answer": right,
            "question_type": "open" if free_one else "multiple-choice",
        }
        asked.append(Asked(columns, number, said, score))
    return StandIn(
        *("mmmu_val", "lmms-lab-encoder/MMMU", "default", "validation", asked),
        # one text before the picture, one behind it; what is sent joins them
        "Look at\nand say what it is.\nA. a mushroom\nB. garlic\nC. a pineapple\nD. milk\n"
        f"{_LETTER}",
        image="image_1",
    )


def _ai2d() -> StandIn:
    told = [
        *(("A", 0), ("B.", 1), ("C. a pineapple", 2), ("d", 3), ("A", 1), ("Answer: B", 1)),
        *(("(C)", 2), ("D", 3), ("garlic", 1), ("B", 1), ("C", 2), (" A. ", 0)),
    ]
    # a letter, alone or before a full stop; else exact match without case and punctuation
    right = {"A": 0, "B.": 1, "C. a pineapple": 2, "d": 3, "(C)": 2, "D": 3, "B": 1, "C": 2}
    right[" A. "] = 0
    asked = []
    for number, (said, answer) in enumerate(told):
        columns = {
            "question": "which one is drawn?",
            "options": ["a mushroom", "garlic", "a pineapple", "milk"],
            "answer": str(answer),
        }
        asked.append(Asked(columns, number, said, float(right.get(said) == answer)))
    return StandIn(
        *("ai2d", "lmms-lab-encoder/ai2d", "default", "test", asked),
        f"which one is drawn?\nA. a mushroom\nB. garlic\nC. a pineapple\nD. milk{_LETTER}",
    )


def _scienceqa() -> StandIn:
    told = [
        *(("A", 0, 1.0), ("b", 1, 1.0), ("B. garlic", 1, 1.0), ("b. garlic", 1, 0.0)),
        *(("garlic", 1, 0.0), ("A", 1, 0.0), (" B ", 1, 1.0), ("A.", 0, 1.0)),
        *(("(A)", 0, 0.0), ("B", 1, 1.0), ("A or B", 0, 0.0), ("a", 0, 1.0)),
    ]
    asked = []
    for number, (said, answer, score) in enumerate(told):
        columns = {
            "question": "Which one grows underground?",
            "choices": ["a mushroom", "garlic"],
            "answer": answer,
            "hint": "Look at the picture." if number % 2 == 0 else "",
        }
        asked.append(Asked(columns, number, said, score))
    return StandIn(
        *("scienceqa_img", "lmms-lab-encoder/ScienceQA", "ScienceQA-IMG", "test", asked),
        "Context: Look at the picture.\nWhich one grows underground?\nA. a mushroom\nB. garlic"
        f"{_LETTER}",
    )


STAND_INS = {
    one.task: one
    for one in (
        *(_gqa(), _textvqa(), _seedbench(), _docvqa(), _chartqa()),
        *(_ocrbench(), _pope(), _mmmu(), _ai2d(), _scienceqa()),
    )
}


def write_stand_ins(folder: Path, tasks: Sequence[str] = tuple(STAND_INS)) -> Path:
    """The data sets of tasks in a folder, as owner/name: parquet, and a card that tells where it
    lies, as a copy of the hub has them."""
    for name in tasks:
        one = STAND_INS[name]
        place = folder / one.repository
        rows = [_row(one, asked) for asked in one.asked]
        tables = {one.config: rows, **{name: _pictures(rows) for name, rows in one.more.items()}}
        for config, table in tables.items():
            _write(place / config / f"{one.split}-00000-of-00001.parquet", table)
        lines = ["---", "configs:"]
        for config in tables:
            lines += [f"- config_name: {config}", "  data_files:", f"  - split: {one.split}"]
            lines.append(f"    path: {config}/{one.split}-*.parquet")
        (place / "README.md").write_text("\n".join([*lines, "---", ""]), "utf-8")
    return folder


def _row(stand_in: StandIn, asked: Asked) -> dict[str, Any]:
    row = dict(asked.columns)
    if stand_in.image == "[image]":
        row["image"] = [picture(asked.picture)]
    elif stand_in.image:
        row[stand_in.image] = picture(asked.picture)
    return row


def _pictures(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "image": picture(row["image"])} for row in rows]


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from datasets import Dataset

    file.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list([dict(row) for row in rows]).to_parquet(file)


if __name__ == "__main__":
    print(write_stand_ins(Path(sys.argv[1])))
