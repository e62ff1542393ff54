"""Random models of the published shapes, as they are published: branches not fused.

galago and open_clip read the same folder; for ONNX Runtime there is one graph a tower beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.clip_config import SECOND
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.writing import write_open_clip
from galago.specs import CLIP_CONTEXT

__all__ = ["build", "load"]

_EXPORTED = "exported"  # written last
_SPECS = {spec.name: spec for spec in SECOND}


def build(options: Mapping[str, Any]) -> dict[str, Any]:
    """Have a folder of a random model: the preparation of rows that need it.

    With `export` both towers are there as ONNX, too, of the batches that are measured.
    """
    import torch

    logging.disable(logging.WARNING)
    torch.set_grad_enabled(False)
    folder = Path(options["model"])
    if not (folder / CLIP_CONFIG).exists():
        _write(folder)
    if options["export"] and not (folder / _EXPORTED).exists():
        _export(folder, options)
    return {}


def load(folder: Path, *, fused: bool = True) -> Any:
    """open_clip's model from such a folder; fused as the model cards say, by timm."""
    from safetensors.torch import load_file
    from timm.utils import reparameterize_model

    model = _empty(folder.name)
    model.load_state_dict(load_file(folder / CLIP_WEIGHTS), assign=True)
    if model.text.attn_mask is not None:  # not among the stored tensors
        model.text.attn_mask = model.text.build_causal_mask()
    return reparameterize_model(model, inplace=True).eval() if fused else model.eval()


def _empty(variant: str) -> Any:
    """open_clip's model without values: making them with torch's own start takes long."""
    import torch
    from open_clip.factory import get_model_config
    from open_clip.model import CustomTextCLIP

    config: dict[str, Any] = get_model_config(variant)
    with torch.device("meta"):
        model = CustomTextCLIP(**{k: v for k, v in config.items() if k != "custom_text"})
    return model.eval()


def _write(folder: Path) -> None:
    """With weights that let a picture show in every layer: tiny ones make denormal numbers."""
    import torch

    model = _empty(folder.name).to_empty(device="cpu")
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
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_open_clip(folder, arrays, _SPECS[folder.name])


def _export(folder: Path, options: Mapping[str, Any]) -> None:
    """Both towers fused; of these batches alone, as ONNX Runtime does best with known shapes."""
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc]
        """One side of the model, features not normalised."""

        def __init__(self, model: Any, side: str) -> None:
            super().__init__()
            self.model, self.side = model, side

        def forward(self, given: Any) -> Any:
            encode = self.model.encode_image if self.side == "image" else self.model.encode_text
            return encode(given)

    model = load(folder)
    side = model.visual.image_size[0]
    inputs = {
        "image": torch.rand(options["pictures"], 3, side, side),
        "text": torch.randint(1, 49000, (options["texts"], CLIP_CONTEXT)),
    }
    for name, given in inputs.items():
        path = folder / f"{name}.onnx"
        torch.onnx.export(Tower(model, name).eval(), (given,), path, dynamo=True, verbose=False)
    (folder / _EXPORTED).touch()
