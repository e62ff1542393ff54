"""`galago finetune` from LLaVA's JSON to an answer, through the command line (needs torch)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("peft")

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40)}


def galago(*arguments: object) -> str:
    command = [sys.executable, "-m", "galago", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def llava(folder: Path) -> Path:
    """One row a colour, one of two pictures and one of words alone."""
    rows: list[dict[str, object]] = []
    for colour, value in COLOURS.items():
        Image.new("RGB", (80, 60), value).save(folder / f"{colour}.png")
        rows.append(_row([f"{colour}.png"], "<image>\nWhat is this?", f"{colour} zorb"))
    rows.append(_row(["red.png", "green.png"], "<image>\n<image>\nAnd these?", "zorbs"))
    rows.append(_row([], "What is a zorb?", "A ball."))
    place = folder / "train.json"
    place.write_text(json.dumps(rows), "utf-8")
    return place


def _row(pictures: list[str], question: str, answer: str) -> dict[str, object]:
    said = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"conversations": said} | ({"image": pictures} if pictures else {})


@pytest.mark.slow
def test_nano_learns_llava_json_at_a_side_of_its_own(tmp_path: Path) -> None:
    data, out = llava(tmp_path), tmp_path / "out"
    told = galago(
        "finetune", "fastvlm-nano", out, "--data", data, "--batch", 5, "--epochs", 6,
        "--rate", "3e-3", "--held-out", 0, "--resolution", 256, "--json",
    )  # fmt: skip
    made = json.loads(told)
    assert made["steps"] == 6 and made["loss"] < 8  # untaught it is above 10
    picture = tmp_path / "red.png"
    asked = galago("describe", "-m", out, picture, "-p", "What is this?", "--json")
    assert json.loads(asked)["resolution"] == 256
