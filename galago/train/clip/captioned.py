"""Captioned pictures, and what a captioner learns of them: WebDataset tars of pictures with .txt.

Reinforced shards are such tars too; of these the picture and its own caption count.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from galago.media.images import PICTURE_SUFFIXES
from galago.train.clip.coca import Coca
from galago.train.clip.learn import Here, Pupil
from galago.train.clip.reading import Place, Reading, ShardStream, read_shard, short_name
from galago.train.clip.shards import SampleError, plain

__all__ = [
    "CaptionBatch",
    "CaptionLesson",
    "CaptionStream",
    "Captioned",
    "CocaPupil",
    "Heard",
    "heard",
    "read_captioned",
]

_CAPTIONING, _CONTRASTIVE = 2.0, 1.0  # weights of the CoCa paper and of open_clip
_PAD = 0  # the token that fills up a text


@dataclass(frozen=True)
class Captioned:
    """A picture as it is stored, and its caption."""

    picture: bytes
    text: str


def read_captioned(held: dict[str, bytes], key: str, shard: str) -> Captioned:
    """Of a sample's members by extension; SampleError for one that lacks a picture or a caption."""
    where = f"{shard}:{key}"
    kind = next((name for name in held if f".{name}" in PICTURE_SUFFIXES), "")
    if not kind:
        raise SampleError(where, "it has no picture")
    try:
        text = held.get("txt", b"").decode().strip()
    except UnicodeDecodeError:
        raise SampleError(where, "its .txt is no UTF-8") from None
    if not text:
        raise SampleError(where, "it has no caption: a .txt beside the picture holds one")
    return Captioned(held[kind], text)


@dataclass
class CaptionBatch:
    """pixels: float32 (b, 3, side, side), normalised.  ids: int64 (b, T).  notes: what is to be
    said about the reading."""

    pixels: torch.Tensor
    ids: torch.Tensor
    notes: list[str] = field(default_factory=list)


class CaptionStream(ShardStream):
    """Of captioned pictures, cropped as open_clip does it, by the seed, the epoch and the key."""

    def __init__(
        self, reading: Reading, coca: Coca, place: Place, start: int, workers: int
    ) -> None:
        super().__init__(reading, place, start, workers)
        self._crop, self._tokenizer = coca.transform(training=True), coca.tokenizer

    def _learn(
        self, epoch: int, shard: str, key: str, held: dict[str, bytes]
    ) -> tuple[torch.Tensor, str]:
        found = read_captioned(held, key, short_name(shard))
        image = plain(found.picture, f"{short_name(shard)}:{key}")
        drawn = random.Random(f"{self._reading.seed}-{epoch}-{key}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(drawn.getrandbits(31))
            return self._crop(image), found.text

    def _batch(self, learnt: list[tuple[torch.Tensor, str]], notes: list[str]) -> CaptionBatch:
        texts = [text for _, text in learnt]
        room = self._tokenizer.context_length - 2  # beside the tokens that begin and end a text
        if any(len(self._tokenizer.encode(text)) > room for text in texts):
            notes.append(f"captions of more than {room} tokens are cut there")
        return CaptionBatch(
            torch.stack([pixels for pixels, _ in learnt]), self._tokenizer(texts), notes
        )


class CocaPupil(Pupil):
    """A CoCa in training."""

    def __init__(self, coca: Coca) -> None:
        super().__init__()
        self.coca, self.model = coca, coca.model

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        return self.model.logit_scale

    def lighten(self) -> None:
        self.model.set_grad_checkpointing()

    def forward(self, pixels: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """open_clip's dictionary: features of both towers, logits of the next tokens, labels."""
        found: dict[str, torch.Tensor] = self.model(pixels, ids)
        return found


class CaptionLesson:
    """open_clip's CoCaLoss: the contrastive one of all processes' rows, and next tokens'."""

    def __init__(self, place: Place) -> None:
        import open_clip

        self._loss: Any = open_clip.CoCaLoss(
            _CAPTIONING, _CONTRASTIVE, pad_id=_PAD, local_loss=True, gather_with_grad=True,
            rank=place.rank, world_size=place.world,
        )  # fmt: skip

    def inputs(self, batch: CaptionBatch) -> tuple[torch.Tensor, ...]:
        return batch.pixels, batch.ids

    def losses(self, said: Any, batch: CaptionBatch, here: Here) -> dict[str, torch.Tensor]:
        """`caption`: of a token, in nats; `contrastive`: CLIP's; `loss`: as they are weighted."""
        found = self._loss(
            said["image_features"].float(), said["text_features"].float(), said["logits"].float(),
            said["labels"], said["logit_scale"], output_dict=True,
        )  # fmt: skip
        caption, contrastive = found["caption_loss"], found["contrastive_loss"]
        return {
            "loss": caption + contrastive,
            "caption": caption / _CAPTIONING,
            "contrastive": contrastive / _CONTRASTIVE,
        }


@dataclass(frozen=True)
class Heard:
    """What a captioner makes of held-out pictures: `caption` nats a token of their captions, whose
    exponential is the perplexity."""

    pictures: int
    caption: float


@torch.inference_mode()
def heard(coca: Coca, shards: Sequence[str], notes: list[str]) -> Heard:
    """Judge a captioner, uncropped; what can't be read is noted."""
    device, training = next(coca.model.parameters()).device, coca.model.training
    coca.model.eval()
    prepare, total, tokens, pictures = coca.transform(training=False), 0.0, 0, 0
    for shard in shards:
        for key, held in read_shard(shard, notes):
            try:
                found = read_captioned(held, key, short_name(shard))
                image = plain(found.picture, f"{short_name(shard)}:{key}")
            except SampleError as error:
                notes.append(str(error))
                continue
            said = coca.model(
                prepare(image)[None].to(device), coca.tokenizer([found.text]).to(device)
            )
            labels = said["labels"][0]
            loss = nn.functional.cross_entropy(
                said["logits"][0].float(), labels, ignore_index=_PAD, reduction="sum"
            )
            total, pictures = total + float(loss), pictures + 1
            tokens += int((labels != _PAD).sum())
    coca.model.train(training)
    return Heard(pictures, total / max(1, tokens))
