"""Contrastive captioners (CoCa, arXiv 2205.01917), as open_clip has them: opened, saved, compared.

`open_clip:MODEL[:PRETRAINED]` is one of open_clip's with a tag of its weights or a file on disk,
a folder is what `galago train-clip --captioner` leaves, a .json of open_clip's model_cfg has new
weights.  All weights are read as data: nothing that a file holds is run.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.tensors import read_float
from galago.checkpoints.torchfile import TorchFile
from galago.disk import optional_json
from galago.errors import CheckpointError, OptionError, SelfCheckError
from galago.train.clip.teachers import FAULTS, check_config

__all__ = ["EXAMPLE", "Coca", "load_coca", "same_coca", "write_coca"]

EXAMPLE = "open_clip:coca_ViT-L-14:mscoco_finetuned_laion2b_s13b_b90k"
_LEAST = 1e-3  # that logits may stray by: same weights, same library


@dataclass(frozen=True)
class Coca:
    """model: open_clip's; config: its model_cfg; tokenizer: of CLIP's 49,408 tokens."""

    model: Any
    config: dict[str, Any]
    tokenizer: Any

    @property
    def seen(self) -> dict[str, Any]:
        """open_clip's preprocess_cfg: side, mean, interpolation."""
        return dict(self.model.visual.preprocess_cfg)

    def transform(self, *, training: bool) -> Any:
        """A picture in RGB -> float32 (3, side, side): open_clip's own, whose crops are drawn from
        torch's generator in training."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        return image_transform_v2(PreprocessCfg(**self.seen), is_train=training)


def load_coca(name: str, *, offline: bool = False, seed: int = 0) -> Coca:
    """In evaluation mode, on the CPU; `seed`: of new weights.

    OptionError for a name that isn't known, a model that writes no captions or reads words
    otherwise; CheckpointError for weights that don't fit.
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    kind, _, rest = name.partition(":")
    folder = Path(os.path.expanduser(name))
    if kind == "open_clip" and rest:
        model, _, pretrained = rest.partition(":")
        return _of_open_clip(model, pretrained, seed)
    if name and folder.is_dir():
        check_config(folder / CLIP_CONFIG)
        config = optional_json(folder / CLIP_CONFIG).get("model_cfg")
        if not isinstance(config, dict):
            raise OptionError(f"{folder} is no folder of open_clip's: it has no {CLIP_CONFIG}")
        coca = _created(f"local-dir:{folder}", config, seed)
        _fill(coca.model, folder / CLIP_WEIGHTS)
        return coca
    if folder.suffix == ".json" and folder.is_file():
        return _of_config(folder, seed)
    raise OptionError(
        f"captioner {name!r} is not known: use open_clip:coca_…:PRETRAINED, or a folder that "
        "train-clip made"
    )


def _of_open_clip(model: str, pretrained: str, seed: int) -> Coca:
    import open_clip

    if model not in open_clip.list_models():
        raise OptionError(f"open_clip has no model {model!r}: see open_clip.list_models()")
    coca = _created(model, open_clip.get_model_config(model), seed)
    if pretrained:
        _fill(coca.model, _weights(model, pretrained))
    return coca


def _weights(model: str, pretrained: str) -> Path:
    """A file, or what a tag of open_clip's is fetched to."""
    import open_clip

    file = Path(os.path.expanduser(pretrained))
    if file.is_file():
        return file
    told = open_clip.get_pretrained_cfg(model, pretrained)
    if not told:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model))
        raise OptionError(f"{pretrained} is neither a file nor weights of {model}: use {tags}")
    try:
        return Path(open_clip.download_pretrained(told))
    except (OSError, ValueError, RuntimeError) as error:
        raise OptionError(f"open_clip can't fetch {model} {pretrained}: {_short(error)}") from None


def _of_config(path: Path, seed: int) -> Coca:
    import open_clip

    check_config(path)
    config = optional_json(path)
    if not isinstance(config.get("multimodal_cfg"), dict):
        raise OptionError(f"{path} is no CoCa of open_clip's: it has no multimodal_cfg")
    open_clip.add_model_config(path)
    return _created(path.stem, config, seed)


def _created(name: str, config: dict[str, Any], seed: int) -> Coca:
    """With new weights, the same ones in every process; torch's generator stays as it was."""
    import open_clip

    text = config.get("text_cfg")
    if not isinstance(text, dict):
        raise OptionError(f"{name}: its text_cfg is no object")
    if {"hf_tokenizer_name", "hf_model_name"} & {*text}:
        raise OptionError(f"{name} reads words by a model of transformers: use {EXAMPLE}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            with _hushed():
                model: Any = open_clip.create_model(name, load_weights=False, pretrained_text=False)
            tokenizer: Any = open_clip.get_tokenizer(name)
        except (*FAULTS, RuntimeError, ValueError, OSError) as error:
            raise OptionError(f"open_clip can't build {name}: {_short(error)}") from None
        if not isinstance(model, open_clip.CoCa):
            raise OptionError(f"{name} writes no captions: a CoCa does, as {EXAMPLE}")
        # open_clip 3.3 leaves this one as memory happens to be; the deviation is its text tower's.
        projection = model.text_decoder.text_projection
        torch.nn.init.normal_(projection, std=len(projection) ** -0.5)
    return Coca(model.eval(), config, tokenizer)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without open_clip's warning of a model without weights: they come afterwards."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _fill(model: Any, path: Path) -> None:
    held = _tensors(path)
    try:
        missing, unknown = model.load_state_dict(held, strict=False)
    except RuntimeError as error:  # of other shapes
        raise CheckpointError(f"{path} doesn't fit its model ({_short(error)[-160:]})") from None
    lost = [name for name in missing if not name.endswith("attn_mask")]
    if lost or unknown:
        raise CheckpointError(f"{path} doesn't fit its model ({[*lost, *unknown][0]})")


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f"no such file: {path}")
    if path.suffix != ".safetensors":
        return {
            name: torch.from_numpy(np.array(read_float(tensor), np.float32))
            for name, tensor in TorchFile(path).tensors.items()
        }
    safetensors: Any = importlib.import_module("safetensors")
    from safetensors.torch import load_file

    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} can't be read ({_short(error)})") from None


def write_coca(coca: Coca, folder: Path) -> None:
    """open_clip's two files; the configuration last, so that a folder with one is whole."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = coca.model.state_dict()
    held = {name: tensor.detach().float().cpu().contiguous() for name, tensor in state.items()}
    save_file(held, folder / CLIP_WEIGHTS, metadata={"format": "pt"})
    config = {"model_cfg": coca.config, "preprocess_cfg": coca.seen}
    (folder / CLIP_CONFIG).write_text(json.dumps(config, indent=1), "utf-8")


@torch.inference_mode()
def same_coca(coca: Coca, folder: Path) -> float:
    """By how much the folder's logits stray from these at most; SelfCheckError for too much."""
    device = next(coca.model.parameters()).device
    opened = dataclasses.replace(coca, model=load_coca(str(folder)).model.to(device))
    side = coca.model.visual.image_size
    high, wide = side if isinstance(side, (tuple, list)) else (side, side)
    pixels = torch.randn(2, 3, high, wide, generator=torch.Generator().manual_seed(0)).to(device)
    ids = coca.tokenizer(["a photo of a dog.", "two people on a beach"]).to(device)
    training = coca.model.training
    one, other = (each.model.eval()(pixels, ids) for each in (coca, opened))
    coca.model.train(training)
    names = ("logits", "image_features", "text_features")
    strays = max(float((one[name] - other[name]).abs().max()) for name in names)
    if not strays <= _LEAST:  # NaN fails too
        raise SelfCheckError(
            f"what was written strays from what was trained, by {strays:g}, and was not kept"
        )
    return strays


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
