"""The embedded model says what it said when tests/golden was written (`make golden`)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from galago import catalog

TOP = Path(__file__).resolve().parent.parent
NANO = catalog.lookup("fastvlm-nano").folder

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


@pytest.fixture(scope="module")
def golden(tool: ModuleType) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(tool.GOLDEN.read_text("utf-8"))
    return data


def test_the_model_is_the_one_of_the_golden_file(tool: ModuleType, golden: dict[str, Any]) -> None:
    assert golden["weights"] == tool.weights_digest(), "the model changed: run `make golden`"


def test_answers(tool: ModuleType, golden: dict[str, Any]) -> None:
    for now, then in zip(tool.answers(), golden["answers"], strict=True):
        where = f"{then['picture']} {then['preset']}"
        assert now["text"] == then["text"], where
        assert abs(now["score"] - then["score"]) <= SCORE, where
        np.testing.assert_allclose(now["features"], then["features"], atol=FEATURES, err_msg=where)


def test_the_model_is_small() -> None:
    assert sum(path.stat().st_size for path in NANO.iterdir()) <= 12_000_000
