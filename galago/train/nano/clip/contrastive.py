"""Two towers learn one space from a reinforced dataset.

The loss of MobileCLIP (arXiv 2311.17049, equations 1-3): CLIP's own on pictures and captions, and
the divergence of the student's similarities from the teachers'. Beside it, because two CPU cores
see so few pictures: each step's captions cover many labels that no picture of the batch shows, so
that a picture is told apart from those too; words without pictures take the place that the text
teacher gives them among the captions; and the trunk's direct losses go on (vlm/direct.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from galago.text.clip_tokens import ClipTokenizer, load_clip_tokenizer
from galago.train.nano.arithmetic import autocast
from galago.train.nano.clip.reinforce import CAPTIONS, Reinforced, crop_of
from galago.train.nano.config import ClipTrainConfig
from galago.train.nano.data.image_teacher import FEATURES
from galago.train.nano.data.tasks import IGNORED, Tasks, jitter
from galago.train.nano.model import EncoderHeads, build_trunk, normalised

EXTRA_LABELS = 64  # captions a step of labels that no picture of it shows
WORDS = 64  # a step, without pictures
WEIGHTS = {"clip": 1.0, "distil": 0.3, "words": 0.5, "object": 0.6, "teacher": 3.0}
Batch = dict[str, torch.Tensor]


class ClipModel(nn.Module):
    """The towers by open_clip's parts, and the trunk's warm-up heads, which are not published."""

    def __init__(self, config: ClipTrainConfig, classes: int, teacher_scale: float) -> None:
        super().__init__()
        from open_clip.transformer import TextTransformer

        clip = config.clip
        self.trunk = build_trunk(config.vision)
        self.heads = EncoderHeads(config.vision, {"object": classes}, FEATURES)
        self.project = nn.Linear(config.vision.widths[-1] * 2, clip.embed)
        self.text = TextTransformer(
            context_length=clip.context,
            vocab_size=clip.vocab,
            width=clip.width,
            heads=clip.heads,
            layers=clip.layers,
            output_dim=clip.embed,
        )
        self.causal = self.text.attn_mask
        self.teacher_scale = teacher_scale
        self.logit_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def image_rows(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) features -> unit rows (B, embed) float32."""
        return F.normalize(self.project(features.mean((2, 3))).float(), dim=-1)

    def text_rows(self, ids: torch.Tensor) -> torch.Tensor:
        """(N, T) ids -> unit rows (N, embed) float32; the mask is causal, so T may be short."""
        length = ids.shape[1]
        self.text.attn_mask = self.causal[:length, :length]  # open_clip's is as wide as the context
        rows = F.normalize(self.text(ids).float(), dim=-1)
        self.text.attn_mask = self.causal  # a buffer, of which every process must have the same
        return rows

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The losses of one batch, each a scalar."""
        features = self.trunk.forward_features(normalised(batch["pixels"]))
        pooled = self.heads.pool(features)
        logits = self.heads.pooled["object"](pooled).float()
        guess = F.normalize(self.heads.teacher(pooled).float(), dim=-1)
        pictures = self.image_rows(features)
        texts = self.text_rows(batch["captions"])  # first the pictures' own, then the others'
        words = self.text_rows(batch["words"])
        scale = self.logit_scale.exp().clamp(max=100)
        n, own = len(pictures), torch.arange(len(pictures))
        across = scale * pictures @ texts.T
        taught, told = batch["picture_rows"], self.teacher_scale * batch["caption_rows"]
        return {
            "clip": 0.5 * F.cross_entropy(across, own) + 0.5 * F.cross_entropy(across.T[:n], own),
            "distil": 0.5 * divergence(across, taught @ told.T)
            + 0.5 * divergence(across.T[:n], told[:n] @ taught.T),
            "words": divergence(scale * words @ texts.T, batch["word_rows"] @ told.T),
            "object": F.cross_entropy(logits, batch["labels"], label_smoothing=0.1),
            "teacher": 1 - (guess * batch["features"]).sum(-1).mean(),
        }


def divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean Kullback-Leibler divergence of rows of logits from the teacher's rows of logits."""
    return F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="batchmean")


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()


class Batches:
    """Draws batches; each picture of one shows another label, or captions would clash."""

    def __init__(self, config: ClipTrainConfig, tasks: Tasks, held: Reinforced) -> None:
        self.tasks, self.held = tasks, held
        self.tokenizer = load_clip_tokenizer(config.clip.vocab)
        self.groups = {tasks.label_index[g[0].info["label"]]: g for g in tasks.by_label}
        # Between uniform over labels and uniform over pictures.
        self.odds = {label: len(group) ** 0.5 for label, group in self.groups.items()}

    def __call__(self, rng: random.Random, side: int, count: int, captioned: int = 0) -> Batch:
        """`count` pictures of labels, and `captioned` ones that have a caption of their own."""
        labels = self._labels(rng, count)
        rest = [label for label in self.groups if label not in set(labels)]
        others = rng.sample(rest, min(EXTRA_LABELS, len(rest)))
        rows = [self.tasks.rows[rng.choice(self.groups[label]).offset] for label in labels]
        rows += rng.sample(self.held.captioned, captioned)
        crops = [rng.randrange(self.held.boxes.shape[1]) for _ in rows]
        pictures = [self._picture(*one, side, rng) for one in zip(rows, crops, strict=True)]
        texts, told = self._captions(labels, rows, others, rng)
        words = [rng.randrange(len(self.held.words)) for _ in range(WORDS)]
        features = torch.from_numpy(self.held.features[rows, crops].astype(np.float32))
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
        return {
            "pixels": pixels,
            "labels": torch.tensor([*labels, *[IGNORED] * captioned]),
            "features": F.normalize(features, dim=-1),
            "picture_rows": _rows(self.held.picture_rows[rows, crops]),
            "captions": token_rows(self.tokenizer, texts),
            "caption_rows": _rows(np.stack(told)),
            "words": token_rows(self.tokenizer, [self.held.words[i] for i in words]),
            "word_rows": _rows(self.held.word_rows[words]),
        }

    def _picture(self, row: int, crop: int, side: int, rng: random.Random) -> np.ndarray:
        photo = self.tasks.store.photos[row]
        cut = crop_of(self.tasks.store.picture(photo), self.held.boxes[row, crop])
        if rng.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(jitter(cut.resize((side, side), Image.Resampling.BILINEAR), rng))

    def _captions(
        self, labels: Sequence[int], rows: Sequence[int], others: Sequence[int], rng: random.Random
    ) -> tuple[list[str], list[np.ndarray]]:
        """A caption for each picture, then one for each of the other labels, and their rows."""
        said = [(label, rng.randrange(CAPTIONS)) for label in (*labels, *others)]
        texts = [self.held.captions[i][j] for i, j in said]
        told = [self.held.caption_rows[i, j] for i, j in said]
        for place, row in enumerate(rows):
            alone = place >= len(labels)
            if alone:  # between the labels' and the others'
                texts.insert(place, "")
                told.insert(place, told[0])
            own_rows = self.held.own_rows
            if own_rows is None or row not in self.held.own:
                continue
            if alone or rng.random() < 0.5:
                texts[place], told[place] = self.held.own[row], own_rows[row]
        return texts, told

    def _labels(self, rng: random.Random, count: int) -> list[int]:
        """Distinct labels, drawn one after another by their odds."""
        keys = {label: rng.random() ** (1 / odds) for label, odds in self.odds.items()}
        return sorted(keys, key=lambda label: -keys[label])[:count]


def _rows(array: np.ndarray) -> torch.Tensor:
    return F.normalize(torch.from_numpy(array.astype(np.float32)), dim=-1)


def token_rows(tokenizer: ClipTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """(n, longest) ids int64, zeros behind."""
    rows = tokenizer(texts)
    return torch.from_numpy(rows[:, : int((rows > 0).sum(1).max())])


def squared(picture: Image.Image, side: int) -> Image.Image:
    """The centre, `side` px square, as the model will see pictures."""
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    cut = picture.crop((left, top, left + edge, top + edge))
    return cut.resize((side, side), Image.Resampling.BILINEAR)


@torch.inference_mode()
def zero_shot(
    model: ClipModel, tasks: Tasks, vocab: int, side: int, count: int
) -> dict[str, float]:
    """Held-out top-1 over all labels of `count` photographs evenly taken, and the mean by label."""
    model.eval()
    tokenizer = load_clip_tokenizer(vocab)
    names = model.text_rows(token_rows(tokenizer, [f"a photo of a {n}." for n in tasks.labels]))
    photos = tasks.objects[:: max(1, len(tasks.objects) // count)]
    right = 0
    for start in range(0, len(photos), 32):
        some = photos[start : start + 32]
        cut = [squared(tasks.store.picture(photo), side) for photo in some]
        pixels = torch.from_numpy(np.stack([np.asarray(c) for c in cut])).permute(0, 3, 1, 2)
        with autocast():
            features = model.trunk.forward_features(normalised(pixels.contiguous()))
            best = (model.image_rows(features) @ names.T).argmax(-1)
        truth = torch.tensor([tasks.label_index[photo.info["label"]] for photo in some])
        right += int((best == truth).sum())
    model.train()
    return {"zero_shot": right / len(photos)}
