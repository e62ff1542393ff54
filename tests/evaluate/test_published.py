"""The published rows: where each comes from, and which model of ours it is of."""

from __future__ import annotations

import pytest

from galago import catalog
from galago.evaluate.published import published, published_of


def test_every_row_has_a_source_and_a_model() -> None:
    rows = published()
    assert len(rows) == 92
    assert all(row.model and row.source and row.kind in ("vlm", "clip") for row in rows)
    assert {row.by for row in rows} == {"paper", "card", "results"}


def test_shares_are_per_cent() -> None:
    for row in published():
        for column in ("GQA", "TextVQA", "DocVQA", "OCRBench", "AI2D", "ImageNet_top1"):
            value = row.number(column)
            assert value is None or 1 < value < 100, (row.model, column)


def test_a_model_of_ours_has_its_rows_whatever_its_layout() -> None:
    paper, card = published_of("apple/FastVLM-0.5B")[0], published_of("apple/FastVLM-0.5B")[-1]
    assert (paper.by, paper.number("TextVQA"), paper.number("DocVQA")) == ("paper", 65.8, 79.1)
    assert (card.by, card.number("TextVQA"), card.number("DocVQA")) == ("card", 64.5, 82.5)
    assert published_of("KamilaMila/FastVLM-0.5B") == published_of("apple/FastVLM-0.5B")
    (clip,) = published_of("timm/MobileCLIP2-S0-OpenCLIP")
    assert clip.number("ImageNet_top1") == 71.5 and clip.number("ttft_ms") is None
    assert published_of("fastvlm-nano") == () == published_of("")


def test_names_are_those_of_the_catalogue() -> None:
    ours = {row.name.split("/")[-1].removesuffix("-OpenCLIP") for row in catalog.MODELS}
    named = {row.name for row in published() if row.name}
    assert named <= ours
    assert {name for name in ours if "nano" not in name} == named


def test_what_is_no_number_is_none() -> None:
    towers = next(row for row in published() if row.model == "Cambrian-1-8B")
    assert towers.cells["image_params_M"] == "430+846+304+304"
    assert towers.number("image_params_M") is None and towers.number("MMMU") == 42.7
    with pytest.raises(KeyError):
        towers.number("no such column")


def test_a_model_that_galago_doesnt_list_has_none() -> None:
    assert published_of("") == ()
