"""Which benchmarks there are, and where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.evaluate.clip.sets import DATACOMP, GROUPS, Place, chosen, find_place, wanting
from tests.helpers.clipsets import labels_tars, picture

BY_NAME = {one.name: one for one in DATACOMP}


def own(folder: Path) -> Path:
    return labels_tars(folder, [(picture(0), 0)], ["red"], ["{c}"], tars=1)


def test_the_papers_sets_are_all_there_but_one() -> None:
    assert len(DATACOMP) == len(BY_NAME) == 37
    assert {one.metric for one in DATACOMP} == {
        "acc1",
        "mean_per_class_recall",
        "mean_recall@1",
        "f1_macro",
        "acc_worst_group",
        "acc5_worst_group",
    }
    assert all(set(names) <= set(BY_NAME) for names in GROUPS.values())


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("imagenet1k", ["imagenet1k"]),
        ("cifar100", ["vtab/cifar100"]),
        ("retrieval", ["flickr30k", "mscoco_captions"]),
    ],
)
def test_names_their_last_parts_and_groups(tmp_path: Path, word: str, names: list[str]) -> None:
    assert [one.name for one in chosen([word], tmp_path)] == names


def test_nothing_is_chosen_twice(tmp_path: Path) -> None:
    assert len(chosen(["retrieval", "flickr30k", "retrieval"], tmp_path)) == 2


def test_a_name_that_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'sushi' is no benchmark .*datacomp, .*imagenet1k"):
        chosen(["sushi"], tmp_path)


@pytest.mark.parametrize(
    ("word", "meant"), [("imagnet1k", "imagenet1k"), ("retreival", "retrieval"), ("pet", "pets")]
)
def test_a_name_that_is_nearly_one(tmp_path: Path, word: str, meant: str) -> None:
    with pytest.raises(OptionError, match=f"'{word}' is no .*; did you mean {meant}\\?$"):
        chosen([word], tmp_path)


@pytest.mark.parametrize(
    "folder", ["wds_vtab-cifar100_test", "wds_vtab-cifar100", "vtab-cifar100", "cifar100"]
)
def test_folders_are_called_as_on_the_hub_or_shorter(tmp_path: Path, folder: str) -> None:
    own(tmp_path / folder)
    one = BY_NAME["vtab/cifar100"]
    assert find_place(one, tmp_path) == Place(one, tmp_path / folder, True)
    assert find_place(one, tmp_path / folder) == Place(one, tmp_path / folder, True)
    assert [each.name for each in chosen([], tmp_path)] == ["vtab/cifar100"]


def test_plain_files_only_where_they_can_be_read_safely(tmp_path: Path) -> None:
    (tmp_path / "imagenet1k").mkdir()
    (tmp_path / "cifar100").mkdir()  # pickles
    one = BY_NAME["imagenet1k"]
    assert find_place(one, tmp_path) == Place(one, tmp_path / "imagenet1k", False)
    assert find_place(BY_NAME["vtab/cifar100"], tmp_path) is None


def test_a_set_of_ones_own(tmp_path: Path) -> None:
    own(tmp_path / "mine")
    own(tmp_path / "wds_imagenet1k")
    assert [one.name for one in chosen([], tmp_path)] == ["imagenet1k", "mine"]
    assert [one.name for one in chosen(["mine"], tmp_path)] == ["mine"]
    assert [one.name for one in chosen([], tmp_path / "mine")] == ["mine"]


def test_the_line_for_one_that_isnt_here_fetches_what_would_be_found(tmp_path: Path) -> None:
    for one in DATACOMP:
        line = wanting(one, tmp_path)
        assert "\n" not in line and f"--repo-type dataset {one.repository} " in line
        own(Path(line.rpartition("--local-dir ")[2]))
        assert find_place(one, tmp_path) is not None, one.name
    assert BY_NAME["fairness/geode"].repository == "djghosh/wds_geode_test"
    assert BY_NAME["wilds/fmow"].repository == "djghosh/wds_wilds-fmow_test"
