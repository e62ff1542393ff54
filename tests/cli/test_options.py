"""Options that more verbs than one take."""

from __future__ import annotations

import pytest

from galago.cli import options


def test_doubt_is_told_of_each_picture_and_at_length_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options._noted.clear()
    options.doubt("fastvlm-nano", "a.jpg: ")
    options.doubt("fastvlm-nano", "b.jpg: ")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("a.jpg: fastvlm-nano is a small demonstration model and not sure here")
    assert "galago pull apple/FastVLM-0.5B" in first
    assert second == "b.jpg: fastvlm-nano is not sure here either"
    options.doubt("runs/mine")
    assert capsys.readouterr().err == (
        "runs/mine is not sure here: this is probably outside what it was taught\n"
    )


def test_what_has_no_effect_on_the_likeliest_token_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options.Sampling(top_k=5, seed=1).options()
    assert "--top-k and --seed change nothing at temperature 0" in capsys.readouterr().err
    options.Sampling(top_k=5, seed=1, temperature=0.5).options()
    options.Sampling(repetition_penalty=1.2).options()
    assert not capsys.readouterr().err


def test_a_demonstration_model_says_what_it_cannot_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options.say_unread("fastvlm-nano", "What is this?")
    options.say_unread("apple/FastVLM-0.5B", "这是什么？")
    assert not capsys.readouterr().err
    options.say_unread("fastvlm-nano", "这是什么？")
    assert "fastvlm-nano reads English only" in capsys.readouterr().err
