"""`python -m galago.train.nano.measure FOLDER --data SHARDS --packages NODE_MODULES --out DIR`.

What a model of either kind makes of sources that were held out whole, beside the splits of those
it was trained on: writes DIR/generalises-NAME.json and prints the table; --card puts it into the
model's card too. By galago's own engine, without PyTorch; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
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
    kept = options.out / f"generalises-{options.folder.name}.json"
    figures = _start(options, "vlm" if vlm else "clip", kept)
    for part, measure in (_vlm if vlm else _clip)(options).items():
        if options.only and part not in options.only:
            continue
        if part == "splits":
            figures["splits"] = measure()
        else:
            figures["whole"][part] = measure()
        kept.write_text(json.dumps(figures, indent=1), "utf-8")
    if options.card:
        write(figures, options.folder / "README.md")
    print(table(figures))


def _start(options: argparse.Namespace, kind: str, kept: Path) -> dict[str, Any]:
    """What is known already, where only a part is measured; otherwise nothing."""
    if options.only and kept.is_file():
        held: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        if held["seed"] == options.seed:
            return held
    about = {"kind": kind, "model": options.folder.name, "seed": options.seed}
    return {**about, "splits": {}, "whole": {}}


def _parser() -> argparse.ArgumentParser:
    described = (__doc__ or "").split("\n\n", 1)[1]
    parser = argparse.ArgumentParser("python -m galago.train.nano.measure", description=described)
    parser.add_argument("folder", type=Path, help="the model, as galago loads it")
    parser.add_argument("--data", type=Path, required=True, help="folder of WebDataset tars")
    parser.add_argument("--packages", type=Path, required=True, help="node_modules: fonts, emoji")
    parser.add_argument("--out", type=Path, required=True, help="the figures, and a cache")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--notes", type=int, default=300, help="photographed notes to draw")
    parser.add_argument("--each", type=int, help="ask about so many pictures a source at most")
    parser.add_argument("--stamps", type=Path, help="Tux Paint's stamps, to name and find")
    parser.add_argument("--only", nargs="+", help="these parts, beside what --out has already")
    parser.add_argument("--card", action="store_true", help="put the table into the model's card")
    return parser


def _vlm(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    from galago.train.nano.measure.answers import PARTS, Sources, measure_vlm
    from galago.train.nano.vlm.evaluate import evaluate
    from galago.vlm.fastvlm import FastVLM

    vlm = FastVLM.load(options.folder)
    given = (options.data, options.packages, options.stamps, options.each, options.notes)
    sources = Sources(*given, options.seed)
    parts = {part: partial(measure_vlm, vlm, part, sources) for part in PARTS}
    splits = lambda: evaluate(options.folder, _tasks(options), options.seed, out=options.out)  # noqa: E731
    return {**parts, "splits": splits}


def _clip(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    from galago.clip.mobileclip import MobileCLIP
    from galago.train.nano.clip.evaluate import evaluate_clip
    from galago.train.nano.measure.search import PARTS, measure_clip

    clip = MobileCLIP.load(options.folder)
    parts = {
        part: partial(measure_clip, clip, part, options.data, options.stamps) for part in PARTS
    }
    splits = lambda: evaluate_clip(options.folder, _tasks(options), out=options.out)  # noqa: E731
    return {**parts, "splits": splits}


def _tasks(options: argparse.Namespace) -> Tasks:
    cache = options.out / "cache"
    build_photos(options.data, cache)
    build_emoji(options.packages / "@iconify-json", cache)
    return Tasks(cache, options.packages / "@fontsource", "val")


if __name__ == "__main__":
    main()
