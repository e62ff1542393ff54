"""Options of fine-tuning, and the paper's stages."""

from __future__ import annotations

import pytest

from galago.errors import OptionError
from galago.specs import ImageSpec
from galago.train.tune.options import PRESETS, TuneOptions, chosen_parts


def test_parts_are_named_in_any_order_each_once() -> None:
    assert chosen_parts(" vision,projector,vision ") == ("projector", "vision")


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": chosen_parts("projector,head")},
        {"parts": ()},
        {"batch": 0},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"held_out": 0.6},
        {"precision": "fp8"},
        {"full": True, "parts": ("projector",)},
        {"full": True, "adapter": True},
        {"adapter": True, "parts": ("projector", "vision")},
    ],
)
def test_what_is_not_possible_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        TuneOptions(**wrong)  # type: ignore[arg-type]


def test_a_stage_sets_parts_rate_and_the_whole_batch() -> None:
    stage = TuneOptions(batch=4).with_preset("stage1")
    assert stage.parts == ("projector",) and not stage.full and stage.highest_rate == 1e-3
    assert stage.accumulated(devices=1) == 64 and stage.accumulated(devices=8) == 8
    whole = TuneOptions().with_preset("stage2")
    assert whole.full and not whole.lora and whole.seen(ImageSpec(384)).side == 1024
    with pytest.raises(OptionError, match=r"stage1\.5"):
        TuneOptions().with_preset("stage4")


def test_every_stage_has_the_papers_rate() -> None:
    assert {name: one.rate for name, one in PRESETS.items()} == {
        "stage1": 1e-3, "stage1.5": 2e-5, "stage2": 2e-5, "stage3": 2e-5
    }  # fmt: skip


def test_features_are_kept_only_while_the_trunk_does_not_learn() -> None:
    assert TuneOptions().keeps_features
    assert not TuneOptions(parts=("vision",)).keeps_features
