"""A worker (see workers.py): what RapidOCR reads. Runs in an environment of its own.

Needs rapidocr 3.10 and onnxruntime (Apache-2.0 and MIT; the networks lie inside the wheel).
Imports nothing of galago.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import sys
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
from PIL import Image
from rapidocr import RapidOCR


def main() -> None:
    logging.disable(logging.WARNING)
    reader = RapidOCR()
    for line in sys.stdin:
        asked = json.loads(line)
        picture = Image.open(io.BytesIO(base64.b64decode(asked["picture"]))).convert("RGB")
        found = reader(np.asarray(picture)[..., ::-1])
        print(json.dumps({"key": asked["key"], "lines": lines(found)}), flush=True)


def lines(found: Any) -> list[dict[str, Any]]:
    """Each line in the order of reading: text, score, and its four corners in pixels."""
    if found.txts is None:
        return []
    return [
        {"text": text, "score": round(float(score), 4), "corners": np.round(box, 1).tolist()}
        for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
    ]


if __name__ == "__main__":
    main()
