"""Writes tests/golden/*.json: what the embedded models say today.

Run it (`make golden`) only when a model itself has changed, and look at the difference.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))
GOLDEN = TOP / "tests" / "golden"
VLM, CLIP = "fastvlm-nano", "mobileclip2-nano"
QUESTIONS = {
    "note": ("read", "describe"),
    "hand": ("count", "brief"),
    "emoji": ("brief", "describe"),
    "object": ("brief", "describe"),
}
LABELS = ("pants", "shoes", "banana", "hat", "milk", "carrots", "dog")


def weights_digest(name: str) -> str:
    from galago import catalog

    digest = hashlib.sha256()
    for path in sorted(catalog.lookup(name).folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def answers() -> list[dict[str, Any]]:
    """Every question to every picture, in full precision, so that no CPU rounds differently.

    `features` are the first values of the mean image feature, `score` the log-probability of the
    answer itself.
    """
    from galago import FastVLM, preset_prompt

    vlm = FastVLM.load(VLM, precision="fp32")
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


def likenesses() -> list[dict[str, Any]]:
    """For every photograph of the album its first numbers and its cosines with some labels."""
    from galago import MobileCLIP

    clip = MobileCLIP.load(CLIP, precision="fp32")
    pictures = sorted((TOP / "examples" / "album").glob("*.jpg"))
    rows = clip.embed_images(pictures)
    cosines = rows @ clip.embed_labels(LABELS).T
    return [
        {
            "picture": path.name,
            "vector": [round(float(x), 4) for x in row[:16]],
            "cosines": {label: round(float(c), 4) for label, c in zip(LABELS, near, strict=True)},
        }
        for path, row, near in zip(pictures, rows, cosines, strict=True)
    ]


def main() -> int:
    GOLDEN.mkdir(exist_ok=True)
    for name, key, made in ((VLM, "answers", answers()), (CLIP, "likenesses", likenesses())):
        golden = {"model": name, "weights": weights_digest(name), key: made}
        text = json.dumps(golden, indent=1, ensure_ascii=False) + "\n"
        (GOLDEN / f"{name}.json").write_text(text, "utf-8")
        for row in made:
            shown = row.get("text") or max(row["cosines"], key=row["cosines"].get)
            print(f"{row['picture']:14} {row.get('preset', ''):10} {shown!r}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
