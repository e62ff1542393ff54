from __future__ import annotations

import dataclasses

import pytest

from galago import catalog
from galago.errors import UnknownModelError


def test_names_and_aliases_are_unique() -> None:
    names = [n.casefold() for row in catalog.MODELS for n in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", catalog.MODELS, ids=lambda row: row.name)
def test_rows_are_whole(row: catalog.Model) -> None:
    assert row.side % 64 == 0
    assert row.licence.url.startswith("https://") and row.licence.terms
    assert row.embedded or (row.download > 1e9 and row.parameters > 5e8)
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
    ],
)
def test_lookup_by_name_or_alias_in_any_case(typed: str, found: str) -> None:
    assert catalog.lookup(typed).name == found


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("fastvlm-nanoo", "fastvlm-nano"),
        ("fastvlm nano", "fastvlm-nano"),
        ("FastVLM-05B", "apple/FastVLM-0.5B"),
        ("aple/FastVLM-0.5B", "apple/FastVLM-0.5B"),
        ("FastVML-7B", "apple/FastVLM-7B"),
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
        if "FastVLM-" in row.name:
            assert row.licence.name == "apple-amlr" and "research" in row.licence.line
