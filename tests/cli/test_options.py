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
