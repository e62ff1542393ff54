"""What long work says while it runs."""

from __future__ import annotations

from galago.progress import Stage, silent


def test_a_stage_is_its_words_and_knows_whether_they_stay() -> None:
    stage, licence = Stage("fetching"), Stage("apple-amlr: for research", lasting=True)
    assert stage == "fetching" and not stage.lasting and licence.lasting
    assert licence.startswith("apple-amlr") and isinstance(licence, str)
    assert {stage: 1}["fetching"] == 1
    silent(licence, 0.5)
