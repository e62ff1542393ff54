"""A worker (see workers.py): where MediaPipe finds hands, and what of the picture is hand.

Runs in an environment of its own: mediapipe 0.10.21 (Apache-2.0; its networks lie inside the wheel)
and opencv-python-headless (Apache-2.0), whose GrabCut (Rother et al. 2004) finds the outline that
landmarks only hint at. Imports nothing of galago.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

import cv2
import mediapipe
import numpy as np
from PIL import Image

LEAST = 0.3  # confidence; what is less sure is seldom a hand
PALM = (0, 1, 5, 9, 13, 17)
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
ROUNDS = 3  # of GrabCut


def main() -> None:
    finder = mediapipe.solutions.hands.Hands(
        static_image_mode=True, max_num_hands=4, min_detection_confidence=LEAST
    )
    for line in sys.stdin:
        asked = json.loads(line)
        picture = Image.open(io.BytesIO(base64.b64decode(asked["picture"]))).convert("RGB")
        pixels = np.asarray(picture)
        found = finder.process(pixels)
        print(json.dumps({"key": asked["key"], "hands": hands(found, pixels)}), flush=True)


def hands(found: Any, pixels: np.ndarray) -> list[dict[str, Any]]:
    """Each hand: which it is, how surely, 21 points as shares of width and height, its mask."""
    rows = []
    for side, marks in zip(
        found.multi_handedness or (), found.multi_hand_landmarks or (), strict=True
    ):
        points = [[round(v, 4) for v in (p.x, p.y, p.z)] for p in marks.landmark]
        chosen = side.classification[0]
        rows.append(
            {
                "side": chosen.label.lower(),
                "score": round(chosen.score, 4),
                "points": points,
                "mask": packed(outline(pixels, np.array(points)[:, :2])),
            }
        )
    return rows


def outline(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(H, W) uint8, 255 where the hand is: GrabCut between the bones and what is far from them."""
    height, width = pixels.shape[:2]
    at = (points * (width, height)).round().astype(np.int32)
    palm = max(4.0, float(np.linalg.norm(at[9] - at[0])))
    bones, around = np.zeros((2, height, width), np.uint8)
    for canvas, share in ((bones, 0.10), (around, 0.55)):
        thick = max(1, round(palm * share))
        cv2.fillConvexPoly(canvas, cv2.convexHull(at[list(PALM)]), 1)
        for finger in FINGERS:
            cv2.polylines(canvas, [at[list(finger)]], False, 1, thick)
        cv2.polylines(canvas, [at[list(PALM)]], True, 1, thick)
    likely = np.zeros_like(bones)
    for finger in FINGERS:
        cv2.polylines(likely, [at[list(finger)]], False, 1, max(2, round(palm * 0.24)))
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[around > 0] = cv2.GC_PR_BGD
    labels[likely > 0] = cv2.GC_PR_FGD
    labels[bones > 0] = cv2.GC_FGD
    if bones.sum() < 20 or (around == 0).sum() < 20:
        return bones * 255
    models = np.zeros((2, 1, 65))
    cv2.grabCut(pixels[..., ::-1].copy(), labels, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    mask = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) * 255


def packed(mask: np.ndarray) -> str:
    """A PNG of one bit a pixel, in base64."""
    stream = io.BytesIO()
    Image.fromarray(mask).convert("1").save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


if __name__ == "__main__":
    main()
