"""Who writes synthetic captions: `open_clip:coca_…[:PRETRAINED]`, a folder of a CoCa, as `galago
train-clip --captioner` leaves it, or `galago:NAME`, a FastVLM.

Each caption of a picture is drawn with a seed of its own, so that it is the same whichever process
writes it and in whatever company.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np
from PIL import Image

from galago.errors import OptionError

__all__ = ["TOP_P", "Captioner", "load_captioner", "nucleus"]

TOP_P = 0.9  # as DataCompDR's captions were drawn
_WORDS = 60  # tokens of a FastVLM: a text tower reads 77


class Captioner(Protocol):
    def captions(self, picture: Image.Image, count: int, seed: int) -> list[str]:
        """So many captions of an RGB picture, each drawn anew."""


def load_captioner(name: str, *, offline: bool = False) -> Captioner:
    """OptionError for a name of neither kind, and for a model of open_clip that is no CoCa."""
    kind, _, rest = name.partition(":")
    if kind == "galago" and rest:
        return _FastVLM(rest, offline)
    if (kind == "open_clip" and rest) or (name and os.path.isdir(os.path.expanduser(name))):
        return _CoCa(name, offline)
    raise OptionError(
        f"captioner {name!r} is not known: use open_clip:coca_…:PRETRAINED, galago:NAME or a folder"
    )


class _FastVLM:
    def __init__(self, name: str, offline: bool) -> None:
        from galago.text.presets import PRESETS
        from galago.vlm.fastvlm import FastVLM

        self._model = FastVLM.load(name, threads=1, offline=offline or None)
        self._asked = PRESETS["brief"]

    def captions(self, picture: Image.Image, count: int, seed: int) -> list[str]:
        from galago.vlm.sampling import SamplingOptions

        seen = self._model.encode(picture)
        drawn = (
            SamplingOptions(temperature=1.0, top_p=TOP_P, seed=seed + number, max_tokens=_WORDS)
            for number in range(count)
        )
        return [" ".join(self._model.ask(seen, self._asked, one).split()) for one in drawn]


class _CoCa:
    """open_clip's own `generate` needs an older transformers, so words are drawn here."""

    def __init__(self, name: str, offline: bool) -> None:
        from galago.train.clip.coca import load_coca
        from galago.train.clip.teachers import device

        coca = load_coca(name, offline=offline)
        self._device = device()
        self._model: Any = coca.model.to(self._device)
        self._prepare: Any = coca.transform(training=False)
        self._tokenizer: Any = coca.tokenizer

    def captions(self, picture: Image.Image, count: int, seed: int) -> list[str]:
        import torch

        with torch.inference_mode():
            latent, tokens = self._model._encode_image(
                self._prepare(picture)[None].to(self._device)
            )
            drawn = (self._one(latent, tokens, seed + number) for number in range(count))
            return [_sentence(self._tokenizer.decode(ids)) for ids in drawn]

    def _one(self, latent: Any, tokens: Any, seed: int) -> list[int]:
        import torch

        rng = np.random.default_rng(seed)
        start, end = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        ids = [start]
        while len(ids) < self._model.context_length:
            known = {"image_latent": latent, "image_embs": tokens}
            said = torch.tensor([ids], device=self._device)
            seen = self._model(None, said, output_labels=False, **known)
            chosen = nucleus(seen["logits"][0, -1].float().cpu().numpy(), TOP_P, rng)
            if chosen == end:
                break
            ids.append(chosen)
        return ids[1:]


def nucleus(logits: Any, top_p: float, rng: np.random.Generator) -> int:
    """Draw among the likeliest that together hold `top_p` (arXiv 1904.09751)."""
    shares = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    kept = order[: int(np.searchsorted(np.cumsum(shares[order]), top_p)) + 1]
    return int(rng.choice(kept, p=shares[kept] / shares[kept].sum()))


def _sentence(text: str) -> str:
    """The first one, as DataCompDR keeps it."""
    return " ".join(text.split(".")[0].split())
