"""Writes tests/golden/fastvlm-nano.json: what the embedded model says today.

Run it (`make golden`) only when the model itself has changed, and look at the difference.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))
GOLDEN = TOP / "tests" / "golden" / "fastvlm-nano.json"
QUESTIONS = {
    "note": ("read", "describe"),
    "hand": ("count", "brief"),
    "emoji": ("brief", "describe"),
    "object": ("brief", "describe"),
}


def weights_digest() -> str:
    from galago import catalog

    digest = hashlib.sha256()
    for path in sorted(catalog.lookup("fastvlm-nano").folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def answers() -> list[dict[str, Any]]:
    """Every question to every picture, in full precision, so that no CPU rounds differently.

    `features` are the first values of the mean image feature, `score` the log-probability of the
    answer itself.
    """
    from galago import FastVLM, preset_prompt

    vlm = FastVLM.load("fastvlm-nano", precision="fp32")
    rows = []
    for name, presets in QUESTIONS.items():
        (path,) = (p for p in (TOP / "examples").glob(f"{name}.*") if p.suffix in (".jpg", ".png"))
        image = vlm.encode(path)
        for preset in presets:
            prompt = preset_prompt(preset)
            text = vlm.ask(image, prompt)
            rows.append(
                {
                    "picture": path.name,
                    "preset": preset,
                    "text": text,
                    "score": round(vlm.score(image, prompt, [text])[0], 4),
                    "features": [round(float(x), 4) for x in image.features.mean(0)[:16]],
                }
            )
    return rows


def main() -> int:
    golden = {"model": "fastvlm-nano", "weights": weights_digest(), "answers": answers()}
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for row in golden["answers"]:
        print(f"{row['picture']:12} {row['preset']:10} {row['score']:8.3f}  {row['text']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
