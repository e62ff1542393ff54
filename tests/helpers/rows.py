"""Small data to fine-tune on: pictures of one colour, and files that name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["llava", "paint", "write_json", "write_lines"]


def paint(path: Path, colour: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    """A picture of one colour; the number says which, and no two are the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = (colour * 37 % 256, colour * 91 % 256, colour * 53 % 256)
    Image.new("RGB", size, shade).save(path)
    return path


def llava(
    image: object = "a.png",
    *turns: str,
    name: object = "1",
    question: str = "<image>\nWhat is this?",
    answer: str = "A cat.",
) -> dict[str, Any]:
    """A row as LLaVA's files have it; `turns` are further questions and answers in turn."""
    said = [question, answer, *turns]
    talk = [{"from": ("human", "gpt")[at % 2], "value": text} for at, text in enumerate(said)]
    found = {"id": name, "conversations": talk}
    return found if image is None else found | {"image": image}


def write_json(path: Path, rows: Sequence[Any], **options: Any) -> Path:
    """Rows as a list in a JSON file."""
    path.write_text(json.dumps(rows, **options), "utf-8")
    return path


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path
