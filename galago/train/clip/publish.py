"""A trained student -> a folder that galago opens, and the proof that it says what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.writing import write_open_clip
from galago.clip.mobileclip import MobileCLIP
from galago.errors import SelfCheckError
from galago.text.clip_tokens import load_clip_tokenizer
from galago.train.clip.students import NanoStudent, OpenClipStudent, Student

__all__ = ["Proof", "prove", "write_student"]

_TEXTS = ("a photo of a dog.", "two people on a beach", "a red bus in the rain", "text")
# Full precision beside full precision: what branches and norms lose when they are fused.
_LEAST = 0.9999
# Galago's own shapes are published with matrices in 8 bits.
_LEAST_INT8 = 0.98


def write_student(student: Student, folder: Path, name: str) -> None:
    """open_clip's two files; galago's own shapes folded and in 8 bits, as the embedded model is."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(student, NanoStudent):
        return _write_nano(student, folder, name)
    assert isinstance(student, OpenClipStudent)
    held = {n: t.detach().float().cpu().contiguous() for n, t in student.model.state_dict().items()}
    save_file(held, folder / CLIP_WEIGHTS, metadata={"format": "pt"})
    image = student.spec.image
    seen: dict[str, Any] = {"mean": list(image.mean), "std": list(image.std)}
    seen |= {"interpolation": image.resample, "resize_mode": "shortest"}
    config = {"model_cfg": student.config, "preprocess_cfg": seen}
    (folder / CLIP_CONFIG).write_text(json.dumps(config, indent=1), "utf-8")
    return None


def _write_nano(student: NanoStudent, folder: Path, name: str) -> None:
    import dataclasses

    from galago.train.nano.clip.publish import canonical
    from galago.train.nano.folding import all_stored

    spec = dataclasses.replace(student.spec, name=name)
    held = {n: t.detach().cpu() for n, t in student.state_dict().items()}
    write_open_clip(folder, all_stored(canonical(held), clip_shapes(spec)), spec)


class Proof(tuple[float, float]):
    """The least cosine of pictures' rows, and of texts'."""

    def sentence(self) -> str:
        return f"least cosine with what was trained: pictures {self[0]:.6f}, texts {self[1]:.6f}"


@torch.inference_mode()
def prove(student: Student, folder: Path) -> Proof:
    """Galago's own rows of the folder beside the student's; SelfCheckError where they stray."""
    squares = _squares(student.spec.image.side)
    clip = MobileCLIP.load(folder, precision="fp32", offline=True)
    ids = torch.from_numpy(load_clip_tokenizer(student.spec.text.vocab)(list(_TEXTS)))
    training, device = student.training, student.logit_scale.device
    student.eval()
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).to(device)
    images, texts, _ = student(pixels, ids.to(device))
    student.train(training)
    found = (clip.embed_images(list(squares)), clip.embed_texts(list(_TEXTS)))
    pairs = zip(found, (images.cpu().numpy(), texts.cpu().numpy()), strict=True)
    proof = Proof(float((one * other).sum(1).min()) for one, other in pairs)
    least = _LEAST_INT8 if isinstance(student, NanoStudent) else _LEAST
    if not min(proof) >= least:  # NaN fails too
        raise SelfCheckError(
            f"what was written strays from what was trained and was not kept: {proof.sentence()}"
        )
    return proof


def _squares(side: int) -> np.ndarray:
    """Four pictures, uint8 (4, side, side, 3): noise, coarse noise, and two of slopes."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (side // 16 + 1, side // 16 + 1, 3))
    slope = np.linspace(0, 255, side)
    across = np.broadcast_to(slope[None, :, None], (side, side, 3))
    return np.stack(
        [
            rng.integers(0, 256, (side, side, 3)),
            np.kron(coarse, np.ones((16, 16, 1)))[:side, :side],
            across,
            255 - across.transpose(1, 0, 2) * [1.0, 0.5, 0.2],
        ]
    ).astype(np.uint8)
