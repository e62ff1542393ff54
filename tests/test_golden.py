"""The embedded model says what it said when tests/golden was written (`make golden`)."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from galago import catalog
from tests.helpers.places import TOP

NANOS = ("fastvlm-nano", "mobileclip2-nano")

# Sums of float32 products in another order (other CPU, other thread count) move features by about
# 1e-5 and log-probabilities by about 1e-4; a wrong weight or a swapped operation moves them by
# orders of magnitude more.
FEATURES = 2e-3
SCORE = 2e-2


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden", TOP / "tools" / "golden.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden(tool: ModuleType, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((tool.GOLDEN / f"{name}.json").read_text("utf-8"))
    return data


@pytest.mark.parametrize("name", NANOS)
def test_the_model_is_the_one_of_the_golden_file(tool: ModuleType, name: str) -> None:
    held = golden(tool, name)["weights"]
    assert held == tool.weights_digest(name), "the model changed: run `make golden`"


def test_answers(tool: ModuleType) -> None:
    for now, then in zip(tool.answers(), golden(tool, tool.VLM)["answers"], strict=True):
        where = f"{then['picture']} {then['preset']}"
        assert now["text"] == then["text"], where
        assert abs(now["score"] - then["score"]) <= SCORE, where
        np.testing.assert_allclose(now["features"], then["features"], atol=FEATURES, err_msg=where)


def test_likenesses(tool: ModuleType) -> None:
    for now, then in zip(tool.likenesses(), golden(tool, tool.CLIP)["likenesses"], strict=True):
        where = then["picture"]
        assert now["picture"] == where and now["cosines"].keys() == then["cosines"].keys()
        for key in ("vector", "cosines"):
            ours, theirs = (
                list(row[key].values()) if key == "cosines" else row[key] for row in (now, then)
            )
            np.testing.assert_allclose(ours, theirs, atol=FEATURES, err_msg=where)


@pytest.mark.parametrize("name", NANOS)
def test_the_models_are_small(name: str) -> None:
    folder = catalog.lookup(name).folder
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12_000_000
