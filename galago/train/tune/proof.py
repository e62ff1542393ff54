"""Does the written folder say what was trained?  Asked before anybody uses it.

As conversions are checked (galago/convert/selfcheck.py): the folder is opened anew, and what
galago makes of three pictures and a passage is compared with what the learner in PyTorch makes of
them, by the same bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from galago.checkpoints.tensors import Float
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import SelfCheck, judge, reference_of
from galago.errors import SelfCheckError
from galago.train.tune.features import TrunkSession
from galago.train.tune.learner import Learner
from galago.train.tune.shards import in_shards, open_way

__all__ = ["help_prove", "prove"]


@dataclass(frozen=True)
class _Asked:
    """Of each picture what the learner looks at (1, …), and a passage (T, hidden) with the
    positions whose logits count."""

    pictures: list[Float]
    sequences: list[Float]
    takes: list[npt.NDArray[np.int64]]


def prove(folder: Path, learner: Learner, source: Checkpoint) -> SelfCheck:
    """Figures of the comparison; SelfCheckError for a folder that strays and must not be kept."""
    written = open_checkpoint(folder)
    found = reference_of(written)
    trunk = TrunkSession(source) if learner.trunk is None else None
    seen = [pixels if trunk is None else trunk.look(pixels[0])[None] for pixels in found.pixels]
    features, logits = _said(learner, _Asked(seen, found.sequences, found.takes))
    computed = learner.decoder.get_input_embeddings().weight.dtype
    narrow = computed != torch.float32 or any(t.dtype != "F32" for t in written.tensors.values())
    check = judge(
        list(zip(found.features, features, strict=True)),
        list(zip(found.logits, logits, strict=True)),
        "bf16" if narrow else "fp32",
    )
    if not check.passed:
        raise SelfCheckError(
            f"what was written strays from what was trained and was not kept: {check.sentence()}"
        )
    return check


def help_prove(learner: Learner) -> None:
    """What the other processes do meanwhile: the weights are in shards, all of them compute."""
    _said(learner, None)


@torch.inference_mode()
def _said(learner: Learner, asked: _Asked | None) -> tuple[list[Float], list[Float]]:
    learner.eval()
    if in_shards(learner):
        box = [asked]
        torch.distributed.broadcast_object_list(box, src=0)
        asked = box[0]
        open_way(learner, "probe")
    assert asked is not None
    device = learner.projector[0].weight.device
    features, logits = [], []
    for pictures, embeds, takes in zip(asked.pictures, asked.sequences, asked.takes, strict=True):
        tokens, said = learner.probe(
            torch.from_numpy(pictures).to(device),
            torch.from_numpy(np.ascontiguousarray(embeds)).to(device),
            torch.from_numpy(takes).to(device),
        )
        features.append(_array(tokens[0]))
        logits.append(_array(said))
    return features, logits


def _array(tensor: torch.Tensor) -> Float:
    return np.asarray(tensor.float().cpu().numpy(), np.float32)
