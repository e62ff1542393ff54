"""The model card and the curves, written from what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galago.checkpoint import open_checkpoint
from galago.train.config import StageConfig, TrainConfig
from galago.train.trainer import read_log

START = "start.txt"  # in a run's folder: what its first stage started from, if not from nothing
DATA = """\
| material | licence | use |
|---|---|---|
| Caltech-101 (Fei-Fei, Fergus, Perona), without faces | CC BY 4.0 | 99 objects |
| Clothing dataset (A. Grigorev) | CC0 | 10 objects |
| Grocery Store Dataset (M. Klasson et al.) | MIT | 81 objects |
| TensorFlow flowers | CC BY 2.0 | 5 objects |
| Sign Language Digits Dataset (A. Mavi, Z. Dikle) | Apache-2.0 | fingers |
| Human-Robot Finger Counting Dataset (EPSRC NUMBERS) | CC BY-SA 4.0 | fingers, backgrounds |
| HandsDataset (Subhi) | Apache-2.0 | fingers |
| Noto emoji, Noto v1, FxEmojis | Apache-2.0 | emoji |
| Fluent emoji, Fluent emoji flat (Microsoft) | MIT | emoji |
| EmojiOne 2.3 | CC BY 4.0 | emoji |
| OpenMoji, EmojiOne 1 | CC BY-SA 4.0 | emoji |
| Twemoji | CC BY 4.0 | emoji, held out: never trained on |
| 43 Google Fonts families (fontsource) | OFL-1.1, Apache-2.0 | text; 7 of them held out |
| wordfreq's common English words | CC BY-SA 4.0 | text |
| EfficientNet-Lite0 (ImageNet) | Apache-2.0 | teacher of the object features |
"""

LIMITS = """\
It is a demonstration of the architecture and the code. It knows short English
texts in print or tidy handwriting, raised fingers, the emoji and objects listed in
`galago/train/configs/emoji.txt` and in the data above, and nothing else: other pictures get a
confident wrong answer from among these. It can't translate, judge a facial expression, count other
things, read more than a few large words or small print, or follow a conversation. Numbers and rare
letters are read worse than words.
"""


def draw_curves(stages: Sequence[StageConfig], out: Path) -> None:
    """`out`/curves.svg: every stage's losses and held-out figures over its steps."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    names = [s.name for s in stages if (out / f"{s.name}.jsonl").exists()]
    figure, axes = plt.subplots(2, len(names), figsize=(4 * len(names), 6), squeeze=False)
    for column, name in enumerate(names):
        rows = list(read_log(out / f"{name}.jsonl"))
        keys = {key for row in rows for key in row} - {"step", "seconds"}
        for key in sorted(keys):
            held_out = key.startswith("val_")
            points = [(row["step"], row[key]) for row in rows if key in row]
            axis = axes[int(held_out)][column]
            axis.plot(*zip(*points, strict=True), label=key.removeprefix("val_"))
        axes[0][column].set_title(f"{name}: losses")
        axes[1][column].set_title(f"{name}: held out")
        for row in (0, 1):
            axes[row][column].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(out / "curves.svg")


def stage_table(stages: Sequence[StageConfig], out: Path) -> str:
    """A row a stage: what learned, for how many steps, pictures and hours."""
    rows = [
        (stage, list(read_log(out / f"{stage.name}.jsonl")))
        for stage in stages
        if (out / f"{stage.name}.jsonl").exists()
    ]
    return "\n".join(
        f"| {stage.name} | {', '.join(stage.trains)} | {stage.steps} "
        f"| {stage.steps * sum(sum(counts.values()) for _, counts in stage.batch):,} "
        f"| {sum(row['seconds'] for row in log) / 3600:.2f} |"
        for stage, log in rows
    )


def started_from(out: Path) -> str:
    """What a run's first stage started from."""
    start = out / START
    return start.read_text("utf-8").strip() if start.exists() else "random weights"


def write_card(
    config: TrainConfig, figures: dict[str, dict[str, Any]], out: Path, folder: Path
) -> None:
    """`folder`/README.md from the figures, the config and the logs in `out`."""
    stages = stage_table(config.stages, out)
    origin = started_from(out)
    size = (folder / "model.safetensors").stat().st_size
    tensors = open_checkpoint(folder).tensors.values()
    parameters = sum(math.prod(tensor.shape) for tensor in tensors)
    (folder / "README.md").write_text(
        f"""# {config.name}

FastVLM's architecture (FastViT trunk of stride 64, mlp2x_gelu projector, Qwen2 decoder) in
{parameters / 1e6:.1f} million parameters ({size / 1e6:.1f} MB, matrices in 8 bits), trained
on two CPU cores with `galago/train/configs/{config.name}.toml`, starting from {origin}.
Pictures of {config.side} px become {(config.side // 64) ** 2} tokens. Weights: Apache-2.0.

## Held-out figures

Measured through galago itself, greedy, each task with its preset. Seed {config.seed}. Fonts, emoji
design, recordings and photographs below were never trained on.

{_figures(figures)}
## Training

| stage | learns | steps | pictures | hours |
|---|---|---|---|---|
{stages}

Hours are wall-clock on a machine that did other work too. Stage one teaches the trunk by direct
losses (a map of characters, one read-out each for objects, emoji and fingers, and a teacher's
features); the decoder's loss alone teaches a fresh trunk nothing.

## Data

{DATA}
Hands are split by recording (the second person of Finger Counting, whole recordings of
HandsDataset, the last people of Sign Language Digits), photographs by their published split.

## What it can't do

{LIMITS}"""
    )


def _figures(figures: dict[str, dict[str, Any]]) -> str:
    text, fingers = figures["text"], figures["fingers"]
    emoji, objects = figures["emoji"], figures["objects"]
    lines = [
        "| task | figure | count |",
        "|---|---|---|",
        f"| text, 1–4 words on lines of at most 12 characters: error rate "
        f"| {_share(text['cer_all'])} "
        f"| {text['count']} pictures, {text['letters']:,} characters |",
    ]
    for key in ("print", "hand"):
        if f"cer_{key}" in text:
            lines.append(f"| text in {key} | {_share(text[f'cer_{key}'])} | |")
    lines.append(f"| text read without any error | {_share(text['exact'])} | {text['count']} |")
    for title, task in (("fingers", fingers), ("emoji", emoji), ("objects", objects)):
        for key in (k for k in task if not k.startswith("count_")):
            name = title if key == "all" else f"{title}: {key}"
            lines.append(f"| {name}, top-1 | {_share(task[key])} | {task[f'count_{key}']} |")
    return "\n".join(lines) + "\n"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
