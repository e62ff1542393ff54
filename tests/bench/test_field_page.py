"""docs/comparison.md and its pictures: what they say follows from what was measured, or says so."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from itertools import combinations
from typing import Any

import pytest

from galago.bench.chart import Axis, Series, Spot, chart
from galago.bench.field.models import DECODERS, TOWERS
from galago.bench.field.page import NOT_YET, page
from galago.bench.field.parts import ENGINES
from galago.bench.field.picture import PICTURES
from galago.bench.field.rows import row_name, sizes_of
from tests.helpers.places import TOP

DOCS = TOP / "docs"


def report(rows: dict[str, Any]) -> dict[str, Any]:
    machine = {"cpu": "A & B", "threads": 2, "torch": "absent"}
    return {"machine": machine, "runs": 3, "rounds": 1, "quick": False, "rows": rows}


def fake(*, fast: float = 1.0, when: float = 0.0) -> dict[str, Any]:
    """Seconds: a tower's side by its count / 1000, a decoder's tokens / 1000.

    Of FastViTHD `fast` times that, measured at `when`; OpenVINO takes half of what torch does.
    """
    found = {}
    for name in (*TOWERS, *DECODERS):
        for engine in ENGINES:
            row = row_name(name, engine.where, engine.decoder if name in DECODERS else engine.tower)
            ours = name == "FastViTHD"
            scale = (fast if ours else 1.0) * (1 if engine.where == "torch" else 0.5) / 1000
            points = {}
            for size in sizes_of(name):
                side, _, count = size.partition("x")
                points[size] = [scale * int(side) * int(count or 1)]
            samples = {"decode": [0.25]}
            found[row] = {"points": points, "samples": samples, "when": when if ours else 0.0}
    return found


def part(text: str, head: str) -> str:
    return text.split(f"## {head}")[1].split("\n## ")[0]


def line(text: str, start: str) -> list[str]:
    found = next(one for one in text.splitlines() if one.startswith(f"| {start} |"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_what_is_not_measured_says_so_and_has_no_figure() -> None:
    text = page(report({}))
    assert text.count(NOT_YET) == 4
    for cells in (line(part(text, "Engine"), "LLaVA-OneVision-0.5B"), line(text, "ViTamin-L")):
        assert "not yet" in cells
    paper = line(part(text, "Engine"), "LLaVA-OneVision-0.5B")
    assert paper[2:] == ["85.1×", "not yet", "not yet", "not yet", "–"]
    assert PICTURES["-first"](report({})) == PICTURES["-towers"](report({})) == ""


def test_the_85_times_are_told_engine_by_engine() -> None:
    text = part(page(report(fake())), "Engine")
    # torch: (3.84 + 7.32) / (1.024 + 0.286); OpenVINO takes half of both: the same ratio
    cells = line(text, "LLaVA-OneVision-0.5B")
    assert cells[2:] == ["85.1×", "8.52×", "8.52×", "8.52×", "**no**"]
    quick = line(part(page(report(fake(fast=0.01))), "Engine"), "Cambrian-1-8B")
    assert quick[2:] == ["7.93×", "9.68×", "9.68×", "9.68×", "yes"]


def test_ratios_of_rows_that_were_measured_apart_are_not_told() -> None:
    text = part(page(report(fake(when=1e6))), "Engine")
    assert line(text, "LLaVA-OneVision-0.5B")[3:] == [*["measured apart"] * 3, "–"]


def test_an_engine_that_differs_is_told() -> None:
    rows = fake()
    name = row_name("SigLIP-SO400M/14, 26 layers", "torch", "best")
    rows[name]["points"]["384x10"] = [200.0]
    cells = line(part(page(report(rows)), "Engine"), "LLaVA-OneVision-0.5B")
    assert cells[-1] == "**not in every engine**"


def test_both_sides_of_the_curves_and_the_cost() -> None:
    text = page(report(fake()))
    # 1.536 s for the tower, 2,304 tokens and 30 of text, in torch
    assert line(part(text, "FastViTHD and"), "FastVLM with FastViT 0.5B, 1536 px")[2] == "3.87"
    # 1.31 s and 31 tokens more of 0.25 s, a thousand times, in hours
    assert line(part(text, "What 1,000"), "FastVLM 0.5B, 1024 px")[1] == "2.52"
    assert NOT_YET not in text


def test_number_formats_are_told() -> None:
    rows = fake()
    rows[row_name("FastViTHD", "torch", "best")]["precision"] = "bfloat16"
    rows[row_name("FastViT", "torch", "best")]["precision"] = "float32"
    rows[row_name("FastViT", "galago", "bf16")]["precision"] = "f32"
    head = " ".join(page(report(rows)).split("## ")[0].split())
    assert "PyTorch's towers ran in bfloat16 and float32." in head
    assert "OpenVINO's towers ran in f32." in head


def test_a_paper_without_code_is_a_row_from_the_paper() -> None:
    text = page(report(fake()))
    assert "MM1 has no published code or weights" in text
    assert not any(one.startswith("| MM1") for one in text.splitlines())


def test_what_was_left_out_while_measuring_is_told() -> None:
    rows = fake()
    name = row_name("LLaMA-3-8B", "torch", "best")
    rows[name]["left_out"] = {"2910": "would take about 90 minutes"}
    failed = {row_name("Phi-1.5", "torch", "best"): {"error": "MemoryError: no"}}
    text = page(report(rows | failed))
    assert f"- {name}, 2910: would take about 90 minutes" in part(text, "Left out")
    assert "MemoryError: no" in part(text, "Not measured")


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_svg_for_light_and_dark(name: str) -> None:
    drawn = PICTURES[name](report(fake()))
    root = ET.fromstring(drawn)
    style = root.find("{*}style")
    assert style is not None and "prefers-color-scheme: dark" in (style.text or "")
    assert len(root.findall("{*}circle")) > 5
    words = [text.text or "" for text in root.findall("{*}text")]
    assert any("%" in word or "million" in word or "seconds" in word for word in words)


def test_published_and_measured_figures_share_no_picture() -> None:
    assert PICTURES["-paper"](report(fake())) == PICTURES["-paper"](report({}))
    assert "A &amp; B" in PICTURES["-first"](report(fake()))
    assert "M1 Max" not in PICTURES["-first"](report(fake()))


def test_tables_have_as_many_cells_as_heads() -> None:
    block: set[int] = set()
    for one in [*page(report(fake())).splitlines(), ""]:
        if one.startswith("|"):
            block.add(one.count("|"))
        else:
            assert len(block) <= 1, one
            block = set()


def test_labels_cover_neither_labels_nor_points() -> None:
    spots = [Spot(10.0, 5.0 + n / 100, f"a label {n}") for n in range(6)]
    spots += [Spot(10.0 + n, 6.0, f"a label {n}") for n in range(1, 4)]
    drawn = "\n".join(chart([Series("s", "#000", spots)], Axis("x"), Axis("y"), (0, 0, 600, 300)))
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="small">', drawn)
    places = [(float(x), float(y)) for x, y in found]
    assert len(places) == 9
    for (x, y), (u, v) in combinations(places, 2):
        assert abs(y - v) >= 10 or abs(x - u) > 45
    assert chart([], Axis("x"), Axis("y"), (0, 0, 1, 1)) == []


def test_axes_have_round_numbers() -> None:
    log, plain = Axis("s", log=True), Axis("%")
    assert log.ticks(log.ends([0.09, 6.0])) == [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    assert plain.ticks(plain.ends([55.0, 70.0])) == [55.0, 60.0, 65.0, 70.0]
    assert log.place(1.0, (0.1, 10.0)) == pytest.approx(0.5)


def test_the_page_in_the_docs_is_made_of_its_json() -> None:
    known = json.loads((DOCS / "comparison.json").read_text("utf-8"))
    assert page(known) == (DOCS / "comparison.md").read_text("utf-8")
    for name, draw in PICTURES.items():
        path = DOCS / f"comparison{name}.svg"
        assert (path.read_text("utf-8") if path.exists() else "") == draw(known)
