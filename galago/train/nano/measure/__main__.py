"""`python -m galago.train.nano.measure FOLDER --data SHARDS --packages NODE_MODULES --out DIR`.

What a model of either kind makes of sources that were held out whole, beside the splits of those
it was trained on: writes DIR/generalises.json and prints the table; --card puts it into the model's
card too. By galago's own engine, without PyTorch; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from galago.checkpoints.folders import CLIP_CONFIG, CONFIG
from galago.errors import OptionError
from galago.train.nano.data.assets import build_emoji, build_photos
from galago.train.nano.data.tasks import Tasks
from galago.train.nano.measure.report import table, write


def main() -> None:
    options = _parser().parse_args()
    vlm, clip = ((options.folder / name).is_file() for name in (CONFIG, CLIP_CONFIG))
    if not (vlm or clip):
        raise OptionError(f"{options.folder} holds neither {CONFIG} nor {CLIP_CONFIG}")
    options.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {
        "kind": "vlm" if vlm else "clip",
        "model": options.folder.name,
        "seed": options.seed,
        "splits": {} if options.whole_only else _splits(options, vlm),
        "whole": _whole(options, vlm),
    }
    (options.out / "generalises.json").write_text(json.dumps(figures, indent=1), "utf-8")
    if options.card:
        write(figures, options.folder / "README.md")
    print(table(figures))


def _parser() -> argparse.ArgumentParser:
    described = (__doc__ or "").split("\n\n", 1)[1]
    parser = argparse.ArgumentParser("python -m galago.train.nano.measure", description=described)
    parser.add_argument("folder", type=Path, help="the model, as galago loads it")
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--packages", type=Path, required=True, help="node_modules: fonts, emoji")
    parser.add_argument("--out", type=Path, required=True, help="the figures, and a cache")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--notes", type=int, default=300, help="photographed notes to draw")
    parser.add_argument("--stamps", type=Path, help="Tux Paint's stamps, to name and find")
    parser.add_argument("--whole-only", action="store_true", help="leave today's splits out")
    parser.add_argument("--card", action="store_true", help="put the table into the model's card")
    return parser


def _splits(options: argparse.Namespace, vlm: bool) -> dict[str, Any]:
    cache = options.out / "cache"
    build_photos(options.data, cache)
    build_emoji(options.packages / "@iconify-json", cache)
    tasks = Tasks(cache, options.packages / "@fontsource", "val")
    if vlm:
        from galago.train.nano.vlm.evaluate import evaluate

        return evaluate(options.folder, tasks, options.seed, out=options.out)
    from galago.train.nano.clip.evaluate import evaluate_clip

    return evaluate_clip(options.folder, tasks, out=options.out)


def _whole(options: argparse.Namespace, vlm: bool) -> dict[str, Any]:
    if vlm:
        from galago.train.nano.measure.answers import measure_vlm

        return measure_vlm(
            options.folder,
            options.data,
            options.packages,
            options.seed,
            options.notes,
            options.stamps,
        )
    from galago.train.nano.measure.search import measure_clip

    return measure_clip(options.folder, options.data, options.stamps)


if __name__ == "__main__":
    main()
