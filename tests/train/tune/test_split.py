"""The held-out share: by what a picture is, stable, and never all or nothing."""

from __future__ import annotations

import random
from hashlib import blake2b

import pytest

from galago.errors import OptionError
from galago.train.tune.split import Groups, Split, check_share


def digest(name: object) -> bytes:
    return blake2b(str(name).encode(), digest_size=16).digest()


def split(rows: list[list[object]], share: float) -> Split:
    groups = Groups()
    for number, names in enumerate(rows):
        groups.add(number, [digest(name) for name in names])
    return groups.split(share)


def test_about_the_share_is_held_out_and_every_row_is_somewhere() -> None:
    found = split([[at] for at in range(4000)], 0.05)
    assert sorted([*found.train, *found.held_out]) == list(range(4000))
    assert 140 < len(found.held_out) < 260 and found.note == ""
    assert list(found.train) == sorted(found.train)


def test_a_row_stays_on_its_side_whatever_else_there_is() -> None:
    few = {*split([[at] for at in range(500)], 0.2).held_out}
    many = {*split([[at] for at in range(1000)], 0.2).held_out}
    assert few == {one for one in many if one < 500}


def test_one_picture_is_never_on_both_sides() -> None:
    dice = random.Random(0)
    rows = [[dice.randrange(300) for _ in range(dice.choice([1, 1, 1, 1, 2]))] for _ in range(600)]
    found = split([*rows], 0.3)
    held = {name for row in found.held_out for name in rows[row]}
    assert held and found.train
    assert not held & {name for row in found.train for name in rows[row]}


def test_rows_that_share_pictures_by_a_third_row_stay_together() -> None:
    for seed in range(30):
        rows: list[list[object]] = [[f"{seed}a"], [f"{seed}b"], [f"{seed}c"], [f"{seed}x"]]
        rows += [[f"{seed}a", f"{seed}b"], [f"{seed}b", f"{seed}c"]]
        found = split(rows, 0.5)
        assert {0, 1, 2, 4, 5} <= {*found.train} or {0, 1, 2, 4, 5} <= {*found.held_out}


@pytest.mark.parametrize("share", [1e-9, 0.9999999])
def test_never_all_or_nothing_unless_told(share: float) -> None:
    found = split([["a"], ["b"], ["c"]], share)
    assert found.train and found.held_out
    assert f"share of {share:g}" in found.note


def test_what_can_not_be_split_is_all_learnt_and_told() -> None:
    assert split([["a"]], 0.5).note.startswith("there is one row: nothing is held out")
    same = split([["a"], ["a"]], 0.5)
    assert list(same.train) == [0, 1] and not same.held_out
    assert same.note.startswith("all rows are about the same picture")
    none = split([["a"], ["b"]], 0)
    assert list(none.train) == [0, 1] and (list(none.held_out), none.note) == ([], "")


@pytest.mark.parametrize("share", [-0.1, 1, 5, float("nan")])
def test_shares(share: float) -> None:
    with pytest.raises(OptionError, match="--held-out"):
        check_share(share)
    assert check_share(0) == 0
