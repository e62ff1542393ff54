"""The model card of a vision-language model, written from what was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from galago.checkpoints.vlm import open_checkpoint
from galago.train.nano.config import TrainConfig
from galago.train.nano.log import percent, stage_table, started_from

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
`galago/train/nano/configs/emoji.txt` and in the data above, and nothing else: other pictures get a
wrong answer from among these, most of which are told as doubtful. It can't translate, judge a
facial expression, count other things, read more than a few large words or small print, or follow a
conversation. Numbers and rare letters are read worse than words.
"""


def write_card(
    config: TrainConfig, figures: dict[str, dict[str, Any]], out: Path, folder: Path
) -> None:
    """`folder`/README.md from the figures, the config and the logs in `out`."""
    size = (folder / "model.safetensors").stat().st_size
    tensors = open_checkpoint(folder).tensors.values()
    parameters = sum(math.prod(tensor.shape) for tensor in tensors)
    (folder / "README.md").write_text(
        f"""# {config.name}

FastVLM's architecture (FastViT trunk of stride 64, mlp2x_gelu projector, Qwen2 decoder) in
{parameters / 1e6:.1f} million parameters ({size / 1e6:.1f} MB, matrices in 8 bits), trained
on two CPU cores with `galago/train/nano/configs/{config.name}.toml`, starting from
{started_from(out)}. Pictures of {config.side} px become {(config.side // 64) ** 2} tokens.
Weights: Apache-2.0.

## Held-out figures

Measured through galago itself, greedy, each task with its preset. Seed {config.seed}. Fonts, emoji
design, recordings and photographs below were never trained on.

{_figures(figures)}
## Training

| stage | learns | steps | pictures | hours |
|---|---|---|---|---|
{stage_table(config.stages, out)}

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
        f"| {percent(text['cer_all'])} "
        f"| {text['count']} pictures, {text['letters']:,} characters |",
    ]
    for key in ("print", "hand"):
        if f"cer_{key}" in text:
            lines.append(f"| text in {key} | {percent(text[f'cer_{key}'])} | |")
    lines.append(f"| text read without any error | {percent(text['exact'])} | {text['count']} |")
    for title, task in (("fingers", fingers), ("emoji", emoji), ("objects", objects)):
        for key in (k for k in task if not k.startswith("count_")):
            name = title if key == "all" else f"{title}: {key}"
            lines.append(f"| {name}, top-1 | {percent(task[key])} | {task[f'count_{key}']} |")
    return "\n".join(lines) + "\n"
