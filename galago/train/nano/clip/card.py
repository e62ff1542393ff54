"""The model card of a two-tower model, written from what was measured."""

from __future__ import annotations

from pathlib import Path

from galago.checkpoints.folders import CLIP_WEIGHTS
from galago.train.nano.clip.evaluate import Figures
from galago.train.nano.config import ClipTrainConfig
from galago.train.nano.data.captions import load_synonyms
from galago.train.nano.log import percent, stage_table, started_from

DATA = """\
| material | licence | use |
|---|---|---|
| Caltech-101 (Fei-Fei, Fergus, Perona), without faces | CC BY 4.0 | 99 labels |
| Clothing dataset (A. Grigorev) | CC0 | 10 labels |
| Grocery Store Dataset (M. Klasson et al.) | MIT | 81 labels |
| TensorFlow flowers | CC BY 2.0 | 5 labels |
| wordfreq's common English words | CC BY-SA 4.0 | words without pictures |
| EfficientNet-Lite0 (ImageNet) | Apache-2.0 | image teacher |
| all-MiniLM-L6-v2 (sentence-transformers) | Apache-2.0 | text teacher |
"""

LIMITS = """\
It is a demonstration. It was taught with 15,656 photographs of 194 labels (objects, clothes,
groceries, flowers), so it finds such things and little else: people, places, activities, relations
("a dog on a beach"), colours and text in pictures were never taught. Words that it has not met in a
caption are placed by what a sentence encoder makes of them. For an album of your own, fetch a
MobileCLIP2.
"""


def write_clip_card(config: ClipTrainConfig, figures: Figures, out: Path, folder: Path) -> None:
    """`folder`/README.md from the figures, the config and the logs in `out`."""
    size = (folder / CLIP_WEIGHTS).stat().st_size
    held_out = ", ".join(f'"{word}"' for word in load_synonyms().held_out)
    (folder / "README.md").write_text(
        f"""# {config.name}

MobileCLIP's two towers, small: a FastViT trunk in the topology of mci3 and a causal text
transformer of {config.clip.layers} layers with {config.clip.vocab:,} of CLIP's tokens,
{size / 1e6:.1f} MB together (matrices in 8 bits), {config.clip.embed} dimensions, pictures of
{config.side} px. Trained on two CPU cores with `galago/train/nano/configs/{config.name}.toml`,
starting from {started_from(out)}. Weights: Apache-2.0.

## Held-out figures

Measured through galago itself on the `val` split of the photographs, none of which was trained on.
Seed {config.seed}.

{_figures(figures)}
"Recall at k": the share of queries with a right photograph among the first k of all held-out
photographs. Words never used: {held_out}; no caption of a photograph held them
(`galago/train/nano/configs/synonyms.toml` says which labels count as right).

## Training

Multi-modal reinforced training (arXiv 2311.17049) at small scale: each photograph and two crops of
it carry the image teacher's features, each label 24 synthetic captions with the text teacher's
embeddings, stored once (teachers: {config.teachers.pair}; captions: {config.teachers.captioner}).
The student learns by CLIP's loss, the divergence of its similarities from
the teachers' (pictures placed among sentences by ConSE), the label and the image teacher's
features.

| stage | learns | steps | pictures | hours |
|---|---|---|---|---|
{stage_table(config.stages, out)}

Hours are wall-clock on a machine that did other work too.

## Data

{DATA}
## What it can't do

{LIMITS}"""
    )


def _figures(figures: Figures) -> str:
    shots = figures["zero_shot"]
    count = f"{shots['count']:,} photographs"
    lines = [
        "| task | figure | count |",
        "|---|---|---|",
        f"| zero-shot, top-1 of {shots['labels']} labels | {percent(shots['top1'])} | {count} |",
        f"| zero-shot, top-5 | {percent(shots['top5'])} | {count} |",
    ]
    for key in shots:
        if key.startswith("top1_"):
            name = key.removeprefix("top1_")
            lines.append(f"| top-1: {name} | {percent(shots[key])} | {shots[f'count_{name}']:,} |")
    for title, task in (("labels", "recall"), ("words never used", "recall_unseen")):
        found = figures[task]
        recalls = ", ".join(percent(found[f"at{k}"]) for k in (1, 5, 10))
        lines.append(f"| recall at 1, 5, 10: {title} | {recalls} | {found['queries']} queries |")
        lines.append(f"| right among the first 10: {title} | {percent(found['precision10'])} | |")
    return "\n".join(lines) + "\n"
