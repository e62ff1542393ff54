"""`python -m galago.train.nano.doubt FOLDER --known SHARDS --unknown SHARDS --held-out PLACES`.

Measures what a model of the trainer's knows and what it doesn't, and writes doubt.tensors
beside its weights, the figures (doubt.json) into --out and the table into the model's card. Needs
no PyTorch; emoji and notes need the packages of docs/training.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galago.checkpoints.doubt import DOUBT
from galago.checkpoints.folders import CLIP_CONFIG, CONFIG
from galago.errors import OptionError
from galago.train.nano.data.assets import emoji_label, emoji_names
from galago.train.nano.data.captions import load_synonyms
from galago.train.nano.doubt import pictures
from galago.train.nano.doubt.calibrate import calibrate_clip, calibrate_vlm
from galago.train.nano.doubt.measure import Measured, measure_clip, measure_vlm
from galago.train.nano.doubt.pictures import Shown
from galago.train.nano.doubt.report import Figures, into_card, table
from galago.train.nano.doubt.scenes import scenes

# What a model that reads may well know something of.
LETTERED = "text sign poster word letter page note newspaper number book cover map diagram finger"


def main() -> None:
    options = _parser().parse_args()
    vlm, clip = ((options.folder / name).is_file() for name in (CONFIG, CLIP_CONFIG))
    if not (vlm or clip):
        raise OptionError(f"{options.folder} holds neither {CONFIG} nor {CLIP_CONFIG}")
    if not (options.unknown or options.scenes):
        raise OptionError("--unknown or --scenes is missing: pictures that it may not know")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.folder / DOUBT).unlink(missing_ok=True)  # of other weights it would be refused
    figures = _vlm(options) if vlm else _clip(options)
    (options.out / "doubt.json").write_text(json.dumps(figures.to_json(), indent=1), "utf-8")
    into_card(options.folder / "README.md", table(figures))
    print(table(figures))


def _parser() -> argparse.ArgumentParser:
    described = (__doc__ or "").split("\n\n", 1)[1]
    parser = argparse.ArgumentParser("python -m galago.train.nano.doubt", description=described)
    parser.add_argument("folder", type=Path, help="the model, as galago loads it")
    several: dict[str, Any] = {"type": Path, "nargs": "+", "default": []}
    parser.add_argument("--known", **several, required=True, help="shards it was trained on")
    parser.add_argument("--unknown", **several, help="shards never shown: half fits, half measures")
    parser.add_argument(
        "--scenes", **several, help="captioned shards that it was trained on, in the place of those"
    )
    parser.add_argument(
        "--held-out", **several, help="shards, or folders of pictures, to measure with alone"
    )
    parser.add_argument(
        "--beside", **several, help="shards of hands and texts from elsewhere, told apart"
    )
    parser.add_argument("--packages", type=Path, help="node_modules: fonts and emoji")
    parser.add_argument(
        "--out", type=Path, required=True, help="what was measured, and the figures"
    )
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--each", type=int, default=200, help="known pictures a shard, at most")
    parser.add_argument("--taught", type=int, default=4, help="pictures a label, of those taught")
    parser.add_argument("--most", type=int, default=400, help="unknown pictures a shard, at most")
    parser.add_argument("--again", action="store_true", help="look at the pictures once more")
    return parser


def _shown(options: argparse.Namespace, names: list[str], *, drawn: bool) -> Iterator[Shown]:
    """All pictures; of a model that isn't taught emoji, notes and hands these are left out."""
    shards = options.known if drawn else [p for p in options.known if "hands" not in p.stem]
    yield from pictures.known(shards, options.seed, options.each, options.taught)
    if drawn and options.packages is not None:
        from galago.train.nano.doubt.rendered import emoji, notes

        yield from notes(options.packages, options.seed, options.each // 2)
        yield from emoji(options.packages, options.seed)
    if drawn:
        yield from pictures.beside(options.beside, options.seed, options.most)
        yield from scenes(options.scenes, options.seed, options.most, options.taught)
    for places, held_out in ((options.unknown, False), (options.held_out, True)):
        for place in places:
            yield from pictures.unknown(place, names, options.seed, options.most, held_out=held_out)


def _vlm(options: argparse.Namespace) -> Figures:
    from galago.vlm.fastvlm import FastVLM

    vlm = FastVLM.load(options.folder)
    kept = options.out / "doubt-vlm.npz"
    if options.again or not kept.exists():
        names = [*_names(options), *map(emoji_label, emoji_names()), *LETTERED.split()]
        measure_vlm(vlm, _shown(options, names, drawn=True)).save(kept)
    return calibrate_vlm(Measured.load(kept), options.folder, vlm.identity, options.seed)


def _clip(options: argparse.Namespace) -> Figures:
    from galago.clip.mobileclip import MobileCLIP

    clip = MobileCLIP.load(options.folder)
    kept = options.out / "doubt-clip.npz"
    labels = pictures.labels_of(options.known)
    if options.again or not kept.exists():
        shown = _shown(options, _names(options), drawn=False)
        measure_clip(clip, shown, labels).save(kept)
    words = pictures.words_of([*options.unknown, *options.held_out], _names(options))
    held_out = [pictures.source_of(place) for place in options.held_out]
    measured = Measured.load(kept)
    return calibrate_clip(clip, measured, labels, words, held_out, options.folder, options.seed)


def _names(options: argparse.Namespace) -> list[str]:
    """What the labels are called, and each word of that which is one by itself."""
    synonyms = load_synonyms()
    names = [name for label in pictures.labels_of(options.known) for name in synonyms.of(label)]
    return [*names, *synonyms.kinds.values(), *synonyms.held_out]


if __name__ == "__main__":
    main()
