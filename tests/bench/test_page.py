"""The page and the pictures of `galago bench`: what they say follows from what was measured."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from galago.bench import svg
from galago.bench.fit import exponent, line, medians
from galago.bench.markdown import spliced
from galago.bench.vlm.page import page
from galago.bench.vlm.picture import curves, first_token
from galago.bench.vlm.shares import Limits
from tests.helpers.places import TOP

DOCS = TOP / "docs"


def first(seconds: float, precision: str = "int8-bf16", **more: Any) -> dict[str, Any]:
    samples = {
        "vision": [0.75 * seconds],
        "prefill": [0.25 * seconds],
        "first_token": [0.9 * seconds, seconds, 1.2 * seconds],
        "first_decode": [0.02],
        "tokens_per_second": [40.0],
    }
    size = {"answered_bytes": 1.2e9, "peak_bytes": 1.5e9}
    return {"samples": samples, "precision": precision} | size | more


def report(**rows: dict[str, Any]) -> dict[str, Any]:
    machine = {"cpu": "A & B", "threads": 2, "torch": "absent"}
    return {"machine": machine, "runs": 3, "rounds": 1, "quick": False, "rows": rows}


CHECK = {"cosine_mean": 0.9991, "cosine_min": 0.97, "top1": 0.875, "kl": 0.05, "passed": True}
FULL = report(
    **{
        "roofline/fp32": {"ran_in": "f32", "samples": {"gflops": [100.0]}},
        "roofline/bf16": {"ran_in": "f32", "samples": {"gflops": [90.0]}},
        "roofline/int8": {"ran_in": "u8", "samples": {"gflops": [400.0]}},
        "roofline/read": {"samples": {"gigabytes_per_second": [40.0]}},
        "first/0.5B/galago/int8/1024": first(
            2.0, vision_gflop=75, prefill_gflop=100, token_bytes=5e8, self_check=CHECK
        ),
        "first/0.5B/galago/int8/512": first(0.7),
        "first/0.5B/transformers/fp32/1024": first(9.0, "fp32"),
        "first/0.5B/transformers/bf16/1024": first(5.0, "bf16"),
        "first/0.5B/transformers/bf16/512": first(1.0, "bf16"),
        "first/0.5B/llava-onevision/bf16": first(80.0, "bf16"),
        "first/0.5B/llava-onevision/fp32": {"error": "torch not installed: pip install it"},
        "curve/prompt/0.5B": {"points": {"10": [1.0, 1.2], "20": [2.1], "40": [4.3]}},
        "curve/answer/0.5B": {"points": {"10": []}},
    }
)


def test_the_headline_is_ratios_to_the_peers() -> None:
    text = page(FULL)
    head = next(x for x in text.splitlines() if x.startswith("| **galago** int8"))
    assert head == "| **galago** int8 | 2.00 ±15 % | 40.0× | – | 2.50× |"
    assert "512" not in text.split("## First token")[1].split("##")[0]


def test_a_precision_has_speed_and_self_check_in_one_line() -> None:
    rows = [x for x in page(FULL).splitlines() if x.startswith("| 0.5B | 1024")]
    assert len(rows) == 1
    # 75 GFLOP in 1.5 s at 100 GFLOP/s (bf16 is no faster); 100 in 0.5 s at 400; 20 of 40 GB/s.
    assert "| 1.50 (50%) | 0.500 (50%) | 2.00 ±15 % | 20.0 | 40.0 (50%) |" in rows[0]
    assert "| 1,200 | 1,500 | 0.9991, 0.9700, 87.5%, 0.0500 |" in rows[0]


def test_a_failed_check_and_a_failed_row_are_told() -> None:
    failed = first(2.0, self_check=CHECK | {"passed": False})
    text = page(report(**FULL["rows"] | {"first/0.5B/galago/int8/1024": failed}))
    assert "(not passed)" in text
    assert "- first/0.5B/llava-onevision/fp32: torch not installed: pip install it" in text


def test_what_others_took_is_told() -> None:
    assert "Other processes" not in page(FULL)
    assert "up to 40%" in page(report(**{"second/x": {"samples": {}, "others": 0.4}}))


def test_nothing_measured_is_still_a_page() -> None:
    empty = report()
    assert "Machine: cpu A & B, threads 2." in page(empty).replace("\n", " ")
    assert first_token(empty) == curves(empty) == ""


def test_a_curve_names_its_growth() -> None:
    line = next(x for x in page(FULL).splitlines() if x.startswith("| prefill"))
    assert line.endswith("| 1.10 s at 10 | 4.30 s at 40 | 0.000 s + 107 ms each |")


def test_pictures_are_xml_with_every_row() -> None:
    drawn = ET.fromstring(first_token(FULL))
    words = [one.text for one in drawn.iter() if one.text]
    for label in ("galago int8", "transformers fp32", "transformers bf16", "llava-onevision bf16"):
        assert label in words
    assert "80.0 s (longer than the picture)" in words
    bars = [one for one in drawn.iter() if one.tag.endswith("rect") and one.get("x")]
    assert all(float(b.get("x", 0)) + float(b.get("width", 0)) <= svg.WIDTH for b in bars)
    assert ET.fromstring(curves(FULL)) is not None


def test_limits_are_the_best_of_the_rounds_and_named_as_asked() -> None:
    rounds = {"ran_in": "i8", "samples": {"gflops": [50.0, 100.0, 90.0]}}
    text = page(report(**{"roofline/int8": rounds, "roofline/fp32": rounds}))
    assert "| products in int8 | 100 GFLOP/s |" in text
    assert "| products in fp32 (ran in i8) | 100 GFLOP/s |" in text
    half = first(1.0, "int8", vision_gflop=37.5)
    assert Limits({"roofline/int8": rounds}).shares(half) == {"vision": 0.5}


def test_no_picture_without_its_rows() -> None:
    assert "performance.svg" in page(FULL)
    for row in ({"first/0.5B/galago/int8/512": first(1.0)}, {"first/0.5B/x/int8": {"error": "no"}}):
        assert "performance.svg" not in page(report(**row)) and not first_token(report(**row))


def test_shares_need_a_limit_and_a_cost() -> None:
    assert Limits({}).shares(first(1.0, vision_gflop=1)) == {}
    assert set(Limits(FULL["rows"]).shares(first(1.0, token_bytes=1))) == {"decode"}


def test_fits() -> None:
    points = [(float(n), 3.0 * n**2) for n in (1, 2, 4, 8)]
    assert exponent(points) == pytest.approx(2.0)
    assert line([(n, 5 + 0.5 * n) for n in (1.0, 2.0, 7.0)]) == pytest.approx((5, 0.5))
    assert medians({"20": [1.0, 9.0, 2.0], "3": [1.0], "1": []}) == [(3.0, 1.0), (20.0, 2.0)]


def test_only_the_generated_part_of_a_page_changes() -> None:
    one = spliced("# Title\n\nBefore.\n", "new\n")
    assert one.startswith("# Title\n\nBefore.\n\n<!-- begin performance -->\nnew\n")
    two = spliced(one + "\nAfter.\n", "newer\n")
    assert two == one.replace("new\n", "newer\n") + "\nAfter.\n"


def test_the_page_in_docs_says_what_its_figures_say() -> None:
    figures = DOCS / "performance.json"
    if not figures.exists():
        pytest.skip("not measured yet")
    known = json.loads(figures.read_text("utf-8"))
    text = (DOCS / "performance.md").read_text("utf-8")
    assert spliced(text, page(known)) == text, "write it with: galago bench --out docs"
