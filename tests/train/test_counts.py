"""Fingers counted by landmarks: features that a turn doesn't change, and a network that learns."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from galago.errors import OptionError  # noqa: E402
from galago.train.nano.teach import counts  # noqa: E402
from galago.train.nano.teach.workers import place_of, read_rows  # noqa: E402


def hand(fingers: int, rng: np.random.Generator, side: str = "right") -> dict[str, Any]:
    """A wrist, and five fingers of which so many are stretched."""
    points = [[0.5, 0.8, 0.0]]
    for number in range(5):
        base = np.array([0.4 + 0.05 * number, 0.6])
        length = 0.3 if number < fingers else 0.05
        points += [[base[0], base[1] - length * k / 3, 0.0] for k in range(4)]
    noisy = np.array(points) + rng.normal(0, 0.004, (21, 3))
    return {"side": side, "score": 0.9, "points": noisy.tolist()}


def turned(one: dict[str, Any], degrees: float, mirror: bool) -> dict[str, Any]:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.array(one["points"])
    points[:, :2] = (points[:, :2] - 0.5) @ turn.T * 0.7 + 0.3
    if mirror:
        points[:, 0] *= -1
    side = "left" if mirror else one["side"]
    return {"side": side, "score": 0.9, "points": points.tolist()}


@pytest.mark.parametrize(("degrees", "mirror"), [(40, False), (-100, False), (25, True)])
def test_place_size_turn_and_side_do_not_matter(degrees: float, mirror: bool) -> None:
    one = hand(3, np.random.default_rng(1))
    seen = counts.features(turned(one, degrees, mirror)).reshape(21, 3)[:, :2]
    assert np.allclose(seen, counts.features(one).reshape(21, 3)[:, :2], atol=1e-4)
    assert np.allclose(seen[9], (0, -1), atol=1e-4)


def test_counts_are_learned_and_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shards = []
    for name, prefix, each in (("hands-a", "x", 30), ("hands-rooms", "lebanon-", 4)):
        rows = [(f"{n}-{i}", n) for n in range(6) for i in range(each)]
        path = place_of(tmp_path, "hands", name)
        path.parent.mkdir(exist_ok=True)
        seen = [{"key": key, "hands": [hand(n, rng)]} for key, n in rows]
        seen[0]["hands"] = []
        path.write_text("".join(json.dumps(row) + "\n" for row in seen))
        shards.append(tmp_path / f"{name}.tar")
        with tarfile.open(shards[-1], "w") as tar:
            for key, n in rows:
                info = {"task": "fingers", "fingers": n, "group": f"{prefix}{key}"}
                for ending, data in (("json", json.dumps(info).encode()), ("webp", b"-")):
                    member = tarfile.TarInfo(f"{key}.{ending}")
                    member.size = len(data)
                    tar.addfile(member, BytesIO(data))
    with pytest.raises(OptionError, match="ask the teacher hands first"):
        counts.write_counts(tmp_path / "empty", shards)
    figures = counts.write_counts(tmp_path, shards)
    assert figures["taught"] == 179 and figures["apart"] == 24
    assert figures["right"] > 0.9 and figures["no_hand_found"] == round(1 / 24, 4)
    rows = read_rows(tmp_path, "counts", "hands-rooms")
    assert rows["0-0"]["counts"] == [] and rows["4-1"]["counts"][0]["count"] == 4
