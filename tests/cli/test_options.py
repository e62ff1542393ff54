"""Options that more verbs than one take."""

from __future__ import annotations

import pytest

from galago.cli import options


def test_an_unsure_demonstration_model_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    options._noted.clear()
    options.doubt("fastvlm-nano", 0.99)
    options.doubt("apple/FastVLM-0.5B", 0.01)
    assert not capsys.readouterr().err
    options.doubt("fastvlm-nano", 0.1)
    options.doubt("fastvlm-nano", 0.1)
    err = capsys.readouterr().err
    assert err.count("small demonstration model") == 1
    assert "galago pull apple/FastVLM-0.5B" in err


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
