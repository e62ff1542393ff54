"""Fingers counted by the landmarks of a hand: a small network, taught with the hands that people
counted, which then counts those in any photograph.

Sources that are held out whole are left out of its teaching too, so that what it says of them can
be compared with the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from galago.errors import OptionError
from galago.train.nano.data.assets import samples
from galago.train.nano.data.held_out import is_apart
from galago.train.nano.teach.workers import place_of, read_rows

STEPS = 600
SURE = 0.98
SEED = 2026
Known = list[tuple[str, str, np.ndarray, int, bool]]  # shard, key, landmarks, count, apart


def write_counts(folder: Path, shards: Sequence[Path]) -> dict[str, Any]:
    """Teach with the shards whose fingers are known; write FOLDER/counts for all; the figures.

    OptionError when "hands" hasn't been asked about any shard with known fingers.
    """
    known = list(_known(folder, shards))
    taught = [row for row in known if not row[4]]
    if not taught:
        raise OptionError(
            f"{folder} has no landmarks of counted hands: ask the teacher hands first"
        )
    model = fit(np.stack([row[2] for row in taught]), np.array([row[3] for row in taught]))
    for shard in shards:
        rows = read_rows(folder, "hands", shard.stem)
        path = place_of(folder, "counts", shard.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = ({"key": key, "counts": _counted(model, row)} for key, row in rows.items())
        path.write_text("".join(json.dumps(row) + "\n" for row in told), "utf-8")
    return {"taught": len(taught)} | _figures(model, folder, shards)


def features(hand: dict[str, Any]) -> np.ndarray:
    """(63,) float32: the points from the wrist on, the palm upright and of length one, as of a
    right hand."""
    points = np.array(hand["points"], np.float32)
    points -= points[0]
    if hand["side"] == "left":
        points[:, 0] *= -1
    up = points[9, :2]
    length = float(np.hypot(*up)) or 1.0
    cos, sin = -up[1] / length, -up[0] / length
    turned = points[:, :2] @ np.array([[cos, sin], [-sin, cos]], np.float32)
    placed = np.concatenate([turned, points[:, 2:]], axis=1) / length
    return placed.astype(np.float32).ravel()


def fit(rows: np.ndarray, counts: np.ndarray) -> nn.Module:
    """Landmarks (n, 63) and counts -> a network; the same for the same input."""
    torch.manual_seed(SEED)
    model = nn.Sequential(
        nn.Linear(rows.shape[1], 128), nn.GELU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.GELU()
    )
    model.append(nn.Linear(64, 6))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    x, y = torch.from_numpy(rows), torch.from_numpy(counts)
    weight = 1 / torch.bincount(y, minlength=6).clamp_min(1).float().sqrt()
    for step in range(STEPS):
        chosen = torch.randint(len(x), (256,))
        noisy = x[chosen] + 0.04 * torch.randn(len(chosen), x.shape[1])
        loss = F.cross_entropy(model(noisy), y[chosen], weight=weight, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / STEPS)
    return model.eval()


@torch.inference_mode()
def _counted(model: nn.Module, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The likeliest count of each hand of a picture, and its probability."""
    if not row["hands"]:
        return []
    rows = torch.from_numpy(np.stack([features(hand) for hand in row["hands"]]))
    chance, count = model(rows).softmax(-1).max(-1)
    return [
        {"count": int(c), "chance": round(float(p), 4)} for c, p in zip(count, chance, strict=True)
    ]


def _known(
    folder: Path, shards: Sequence[Path]
) -> Iterator[tuple[str, str, np.ndarray, int, bool]]:
    """Pictures of one counted hand that the landmark network found too."""
    for shard in shards:
        rows = read_rows(folder, "hands", shard.stem)
        for info, _ in samples(shard) if rows else ():
            hands = rows.get(info["key"], {}).get("hands", [])
            if "fingers" in info and hands:
                best = max(hands, key=lambda hand: hand["score"])
                apart = is_apart(info, shard.stem)
                yield shard.stem, info["key"], features(best), info["fingers"], apart


def _figures(model: nn.Module, folder: Path, shards: Sequence[Path]) -> dict[str, Any]:
    """Of what was held out whole: right of all pictures, one without a hand counting as 0; the
    same of the surest nine tenths; and the share where no hand was found."""
    right, chances, found = [], [], []
    for shard in shards:
        rows = read_rows(folder, "hands", shard.stem)
        for info, _ in samples(shard) if rows else ():
            if "fingers" not in info or not is_apart(info, shard.stem) or info["key"] not in rows:
                continue
            told = _counted(model, rows[info["key"]]) or [{"count": 0, "chance": 0.0}]
            best = max(told, key=lambda one: one["chance"])
            right.append(best["count"] == info["fingers"])
            chances.append(best["chance"])
            found.append(best["chance"] > 0)
    if not right:
        return {"apart": 0}
    surest = np.argsort(chances)[len(chances) // 10 :]
    return {
        "apart": len(right),
        "right": round(float(np.mean(right)), 4),
        "right_where_found": round(float(np.mean(np.array(right)[np.array(found)])), 4),
        "right_of_surest_nine_tenths": round(float(np.mean(np.array(right)[surest])), 4),
        "no_hand_found": round(1 - float(np.mean(found)), 4),
    }
