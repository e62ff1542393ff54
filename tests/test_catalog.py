from __future__ import annotations

import dataclasses
import math

import pytest

from galago import catalog
from galago.errors import UnknownModelError
from galago.text.presets import PRESETS


def test_names_and_aliases_are_unique() -> None:
    names = [n.casefold() for row in catalog.MODELS for n in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", catalog.MODELS, ids=lambda row: row.name)
def test_rows_are_whole(row: catalog.Model) -> None:
    assert row.side % (64 if row.kind == "fastvlm" else 14 if "L-14" in row.name else 16) == 0
    assert row.licence.url.startswith("https://") and row.licence.terms
    if not row.embedded:
        assert row.repo and 1.9 < row.download / row.parameters < 4.1, "two or four bytes each"
        assert row.parameters > (5e8 if row.kind == "fastvlm" else 5e7)
    assert row.embedded is False or row.folder.is_dir(), "a model without its files is not listed"
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("fastvlm-nano", "fastvlm-nano"),
        ("NANO", "fastvlm-nano"),
        ("FastVLM-0.5B", "apple/FastVLM-0.5B"),
        ("fastvlm-7b", "apple/FastVLM-7B"),
        (" apple/fastvlm-1.5b ", "apple/FastVLM-1.5B"),
        ("kamilamila/FastVLM-0.5B", "KamilaMila/FastVLM-0.5B"),
        ("mobileclip2-s0", "timm/MobileCLIP2-S0-OpenCLIP"),
        ("apple/MobileCLIP2-S0", "apple/MobileCLIP2-S0"),
        ("MobileCLIP-B-LT", "apple/MobileCLIP-B-LT-OpenCLIP"),
        ("MobileCLIP-S4", "apple/MobileCLIP-S4"),
    ],
)
def test_lookup_by_name_or_alias_in_any_case(typed: str, found: str) -> None:
    assert catalog.lookup(typed).name == found


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("fastvlm-nanoo", "fastvlm-nano"),
        ("FastVLM", "fastvlm-nano"),
        ("mobileclip2", "mobileclip2-nano"),
        ("fastvlm nano", "fastvlm-nano"),
        ("FastVLM-05B", "apple/FastVLM-0.5B"),
        ("aple/FastVLM-0.5B", "apple/FastVLM-0.5B"),
        ("FastVML-7B", "apple/FastVLM-7B"),
        ("MobileCLIP2-L14", "timm/MobileCLIP2-L-14-OpenCLIP"),
        ("timm/MobileCLIP2-S4", "timm/MobileCLIP2-S4-OpenCLIP"),
    ],
)
def test_nearest_names_for_a_mistake(typed: str, nearest: str) -> None:
    assert catalog.suggest(typed)[0] == nearest
    with pytest.raises(UnknownModelError, match=f"did you mean .*{nearest}"):
        catalog.lookup(typed)


def test_nothing_near_points_to_the_list() -> None:
    assert catalog.suggest("llama") == []
    with pytest.raises(UnknownModelError, match="galago models"):
        catalog.lookup("zzz")


def test_research_weights_say_so() -> None:
    for row in catalog.MODELS:
        if not row.embedded:
            assert row.licence.name == "apple-amlr" and "research" in row.licence.line


def test_sizes_are_those_of_the_shapes() -> None:
    from galago.checkpoints.clip_config import PUBLISHED
    from galago.checkpoints.clip_names import clip_shapes

    for spec in PUBLISHED:
        row = catalog.find(spec.name)
        if row is None:  # the same shapes as another, and only in a form that has no row
            continue
        count = sum(math.prod(shape) for shape in clip_shapes(spec).values())
        assert abs(count - row.parameters) < 1e6 and row.side == spec.image.side, row.name


def test_the_defaults_come_with_galago() -> None:
    for name, kind in ((catalog.DEFAULT, "fastvlm"), (catalog.DEFAULT_CLIP, "mobileclip")):
        row = catalog.lookup(name)
        assert row.embedded and row.kind == kind and row.folder.is_dir()
        held = list(row.folder.glob("*.safetensors"))
        assert len(held) == 1
        # In 8 bits a parameter takes about a byte.
        assert 0.95 < held[0].stat().st_size / row.parameters < 1.15


def test_ready_questions_that_a_model_was_never_taught() -> None:
    assert set(catalog.cannot(catalog.DEFAULT)) == {"expression", "translate"} < set(PRESETS)
    # Of others nothing is known, nor of a person's folder that bears an alias.
    assert (
        catalog.cannot("apple/FastVLM-0.5B")
        == catalog.cannot("a folder of mine")
        == catalog.cannot("nano")
        == ()
    )
