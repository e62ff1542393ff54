"""MobileCLIP against open_clip: every variant in its real shapes, from published files."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.factory import get_model_config
from PIL import Image
from safetensors.torch import save_file

from galago.checkpoints.clip import open_clip_checkpoint
from galago.engine.clip_sessions import ImageTower, TextTower
from galago.media.preprocess import preprocess
from galago.specs import ImageSpec
from tests.helpers.clips import first_name

Report = Callable[[str, float], float]
SMALL_TEXT = {"layers": 2}
VARIANTS = ["MobileCLIP2-S0", "MobileCLIP2-S2", "MobileCLIP2-B", "MobileCLIP2-S3",
            "MobileCLIP2-S4", "MobileCLIP2-L-14", "MobileCLIP-S1", "MobileCLIP-S2",
            "MobileCLIP-B"]  # fmt: skip
logging.disable(logging.INFO)


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Initial weights, but norms, scales and positions that would show a slip."""
    generator = torch.Generator().manual_seed(7)

    def noise(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if "running_var" in name:
                noise(tensor, 0.5, 1.5)
            elif name.endswith("gamma"):
                noise(tensor, 0.05, 0.3)
            elif name.endswith(("running_mean", "bias", "in_proj_bias", "cls_token")):
                noise(tensor, -0.1, 0.1)
            elif tensor.ndim == 1 and name.endswith("weight"):
                noise(tensor, 0.7, 1.3)
            elif tensor.ndim > 1 and "visual" in name and name.endswith("weight"):
                noise(tensor, -1, 1)  # timm's own start is so small that biases drown pictures
                tensor *= (3 / tensor[0].numel()) ** 0.5
            elif "pos" in name and tensor.is_floating_point() and tensor.ndim < 4:
                noise(tensor, -0.1, 0.1)
    return model.eval()


def written(name: str, folder: Path) -> tuple[torch.nn.Module, Path]:
    """open_clip's model and the folder it is published as."""
    config: dict[str, Any] = get_model_config(name)
    config["text_cfg"] |= SMALL_TEXT
    torch.manual_seed(1)
    custom = {k: v for k, v in config.items() if k != "custom_text"}
    model = randomised(open_clip.model.CustomTextCLIP(**custom))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    seen = {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear",
            "resize_mode": "shortest"}  # fmt: skip
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": seen})
    )
    return model, folder


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The smallest of the rows' cosines."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.mark.parametrize("name", VARIANTS)
def test_features_are_open_clips(name: str, tmp_path: Path, report: Report) -> None:
    model, folder = written(name, tmp_path)
    checkpoint = open_clip_checkpoint(folder)
    side = checkpoint.spec.image.side
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(2, 3, 5, 5, generator=generator)  # large blots: noise looks all alike
    pixels = torch.nn.functional.interpolate(coarse, (side, side), mode="nearest")
    ids = torch.zeros(3, 77, dtype=torch.long)
    for row, length in enumerate((3, 20, 77)):
        ids[row, :length] = torch.randint(1, 49000, (length,), generator=generator)
        ids[row, 0], ids[row, length - 1] = 49406, 49407
    with torch.inference_mode():
        seen, said = model.encode_image(pixels).numpy(), model.encode_text(ids).numpy()
    del model
    ours = ImageTower(checkpoint, "fp32")(pixels.numpy())
    assert report(f"{name} image, 1 - cosine, fp32", 1 - cosine(ours, seen)) < 1e-5
    assert np.linalg.norm(ours - seen) < 2e-3 * np.linalg.norm(seen)
    assert 1 - cosine(seen[:1], seen[1:]) > 1e-3, "features that are all alike would prove nothing"
    ours = TextTower(checkpoint, "fp32")(ids.numpy())
    assert report(f"{name} text, 1 - cosine, fp32", 1 - cosine(ours, said)) < 1e-5
    assert np.linalg.norm(ours - said) < 2e-3 * np.linalg.norm(said)
    for precision, bound in (("bf16", 0.02), ("int8", 0.03)):
        image = ImageTower(checkpoint, precision)(pixels.numpy())
        text = TextTower(checkpoint, precision)(ids.numpy())
        assert report(f"{name} image, 1 - cosine, {precision}", 1 - cosine(image, seen)) < bound
        assert report(f"{name} text, 1 - cosine, {precision}", 1 - cosine(text, said)) < bound


def test_apples_own_file_is_padded_as_apples_code_pads(tmp_path: Path, report: Report) -> None:
    """timm's stem, padded as ConvNormAct in mobileclip/models/vit.py of apple/ml-mobileclip."""
    config: dict[str, Any] = get_model_config("MobileCLIP-B")
    model = randomised(
        open_clip.model.CustomTextCLIP(**{k: v for k, v in config.items() if k != "custom_text"})
    )
    state = {}
    for name, tensor in model.state_dict().items():
        if name == "visual.trunk.head.weight":
            state["image_encoder.model.classifier.proj"] = tensor.T.contiguous()
        elif name in ("text.positional_embedding", "visual.trunk.pos_embed"):
            state[first_name(name)] = tensor.reshape(1, 1, *tensor.shape[-2:])
        elif name != "visual.trunk.head.bias":
            state[first_name(name.replace(".in_proj_", ".in_proj."))] = tensor
    torch.save(state, tmp_path / "mobileclip_b.pt")
    with torch.no_grad():
        model.visual.trunk.head.bias.zero_()
    stem = model.visual.trunk.patch_embed.backbone[0].conv
    checkpoint = open_clip_checkpoint(tmp_path / "mobileclip_b.pt")
    coarse = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    pixels = torch.nn.functional.interpolate(coarse, (224, 224), mode="nearest")
    ours = ImageTower(checkpoint, "fp32")(pixels.numpy())
    with torch.inference_mode():
        plain = model.encode_image(pixels).numpy()
        stem.padding = (1, 1)
        padded = model.encode_image(pixels).numpy()
    assert report("MobileCLIP-B as Apple runs it, 1 - cosine", 1 - cosine(ours, padded)) < 1e-5
    assert np.linalg.norm(ours - padded) < 2e-3 * np.linalg.norm(padded)
    assert 1 - cosine(ours, plain) > 1e-4


def test_a_pt_file_is_the_same_model(tmp_path: Path) -> None:
    config = get_model_config("MobileCLIP2-S0")
    custom = {k: v for k, v in config.items() if k != "custom_text"}
    model = randomised(open_clip.model.CustomTextCLIP(**custom))
    (tmp_path / "folder").mkdir()
    torch.save(model.state_dict(), tmp_path / "mobileclip2_s0.pt")
    save_file(model.state_dict(), tmp_path / "folder" / "open_clip_model.safetensors")
    seen = {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear"}
    (tmp_path / "folder" / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": seen})
    )
    pickled = open_clip_checkpoint(tmp_path / "mobileclip2_s0.pt")
    folder = open_clip_checkpoint(tmp_path / "folder")
    assert pickled.spec.name == "MobileCLIP2-S0"
    assert replace(pickled.spec, name="folder") == folder.spec
    assert pickled.tensors.keys() == folder.tensors.keys()
    for name, tensor in pickled.tensors.items():
        assert np.array_equal(tensor.read(), folder.tensors[name].read()), name


@pytest.mark.parametrize("size", [(640, 480), (333, 1000), (300, 301), (97, 61), (1201, 345)])
@pytest.mark.parametrize(("side", "resample"), [(256, "bilinear"), (224, "bicubic")])
def test_pixels_are_open_clips(size: tuple[int, int], side: int, resample: Any) -> None:
    rng = np.random.default_rng(size[0])
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    theirs = open_clip.image_transform(
        side, is_train=False, mean=mean, std=std, interpolation=resample, resize_mode="shortest"
    )(picture).numpy()
    spec = ImageSpec(side, mean, std, resample, fit="crop", rounded=True)
    steps = np.abs(preprocess(picture, spec) - theirs) * np.array(std)[:, None, None] * 255
    assert steps.max() < 0.01
