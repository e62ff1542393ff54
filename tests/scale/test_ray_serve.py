"""Replicas of Ray Serve: how many, with what, and what is told of one that can't begin."""

from __future__ import annotations

import pytest

from galago.errors import OptionError
from galago.scale.ray_serve import Replicas, _app_of, _reason, replicas_of


def test_a_number_or_a_range_of_replicas() -> None:
    assert replicas_of("3") == (3, 3) and replicas_of(" 2-10 ") == (2, 10)
    for text in ("", "0", "0-3", "5-2", "1001", "-1", "two", "1-2-3"):
        with pytest.raises(OptionError, match="--replicas"):
            replicas_of(text)


def test_a_fixed_number_doesnt_follow_the_queue() -> None:
    fixed = Replicas(2, 2, 4, 8).options(64, 10.0)
    assert fixed["num_replicas"] == 2 and "autoscaling_config" not in fixed
    assert fixed["ray_actor_options"] == {"num_cpus": 8} and fixed["max_ongoing_requests"] == 68
    moving = Replicas(1, 9, 4, 8).options(64, 10.0)
    assert "num_replicas" not in moving
    found = moving["autoscaling_config"]
    assert (found["min_replicas"], found["max_replicas"]) == (1, 9)
    assert found["target_ongoing_requests"] == 4


def test_a_replicas_own_words_are_told() -> None:
    trace = (
        "Deploying failed.\nTraceback …\ngalago.errors.ModelError: no such model: give another\n"
    )
    assert _reason(RuntimeError(trace)) == "no such model: give another"
    assert "out of things" in _reason(RuntimeError("Ray is out of things\n" * 50))
    assert "\n" not in _reason(RuntimeError("Ray is out of things\n" * 50))


def test_another_galago_on_a_node_is_refused() -> None:
    with pytest.raises(OptionError, match="has galago .* and the command 9.9"):
        _app_of(lambda: None, "9.9")()
    from galago.version import __version__

    assert _app_of(lambda: "app", __version__)() == "app"
