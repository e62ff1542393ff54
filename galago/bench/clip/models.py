"""Random models of the published shapes.

`python -m galago.bench.clip.models VARIANT FOLDER [onnx]`

Writes the folder as it is published (open_clip's layout, branches not fused), which galago and
torch both read, and for ONNX Runtime one graph a tower.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from open_clip.factory import get_model_config
from open_clip.model import CustomTextCLIP
from safetensors.torch import load_file, save_file

from galago.bench.clip.rows import BATCH, CONTEXT, TEXTS

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
VARIANT, EXPORTED = "variant.json", "exported"  # written last
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def empty(variant: str) -> torch.nn.Module:
    """open_clip's model without values: making them with torch's own start takes long."""
    config: dict[str, Any] = get_model_config(variant)
    with torch.device("meta"):
        model = CustomTextCLIP(**{k: v for k, v in config.items() if k != "custom_text"})
    return model.eval()


def write(variant: str, folder: Path) -> None:
    """With weights that let a picture show in every layer: tiny ones make denormal numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    model = empty(variant).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if "num_batches" in name:
            tensor.zero_()
        elif name == "logit_scale":
            tensor.fill_(4.6)
        elif name.endswith(("running_var", "norm.weight", ".ln_1.weight")):
            tensor.fill_(1)
        elif name.endswith(("bias", "running_mean", "in_proj_bias")):
            tensor.normal_(0, 0.02, generator=generator)
        elif name.endswith("gamma"):
            tensor.fill_(0.2)
        elif tensor.ndim < 2:
            tensor.fill_(1)
        else:
            wide = tensor[0].numel() if name.endswith("weight") else tensor.shape[-1]
            gain = 1.4 if tensor.ndim == 4 else 1.0
            tensor.normal_(0, gain * wide**-0.5, generator=generator)
    save_file(model.state_dict(), folder / WEIGHTS)
    config = get_model_config(variant)
    wide = config["embed_dim"] == 768
    seen = {
        "mean": _CLIP_MEAN if wide else [0.0] * 3,
        "std": _CLIP_STD if wide else [1.0] * 3,
        "interpolation": "bicubic" if variant.endswith("L-14") else "bilinear",
        "resize_mode": "shortest",
    }
    (folder / CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": seen}))


def load(folder: Path, *, fused: bool = True) -> torch.nn.Module:
    """open_clip's model from such a folder; fused as the model cards say, by timm."""
    from timm.utils import reparameterize_model

    variant = json.loads((folder / VARIANT).read_text())
    model = empty(variant)
    model.load_state_dict(load_file(folder / WEIGHTS), assign=True)
    if model.text.attn_mask is not None:  # not among the stored tensors
        model.text.attn_mask = model.text.build_causal_mask()
    return reparameterize_model(model, inplace=True).eval() if fused else model.eval()


class Tower(torch.nn.Module):
    """One side of the model, features not normalised."""

    def __init__(self, model: torch.nn.Module, side: str) -> None:
        super().__init__()
        self.model, self.side = model, side

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        encode = self.model.encode_image if self.side == "image" else self.model.encode_text
        return encode(given)


def export(variant: str, folder: Path) -> None:
    """Both towers as ONNX, of the batches that are measured, so that every shape is known."""
    model = load(folder)
    side = model.visual.image_size[0]
    inputs = {
        "image": torch.rand(BATCH[variant], 3, side, side),
        "text": torch.randint(1, 49000, (TEXTS, CONTEXT)),
    }
    for name, given in inputs.items():
        path = folder / f"{name}.onnx"
        torch.onnx.export(Tower(model, name).eval(), (given,), path, dynamo=True, verbose=False)
    (folder / EXPORTED).touch()


def main() -> None:
    variant, target, *more = sys.argv[1:]
    folder = Path(target)
    logging.disable(logging.WARNING)
    torch.set_grad_enabled(False)
    if not (folder / VARIANT).exists():
        write(variant, folder)
        (folder / VARIANT).write_text(json.dumps(variant))
    if more and not (folder / EXPORTED).exists():
        export(variant, folder)
    print(json.dumps({"parameters": sum(t.numel() for t in empty(variant).parameters())}))


if __name__ == "__main__":
    main()
