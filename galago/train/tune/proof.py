"""Does the written folder say what was trained?  Asked before anybody uses it.

As conversions are checked (galago/convert/selfcheck.py): the folder is opened anew, and what
galago makes of three pictures and a passage is compared with what the learner in PyTorch makes of
them, by the same bounds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from galago.checkpoints.tensors import Float
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import Reference, SelfCheck, judge, reference_of
from galago.errors import SelfCheckError
from galago.train.tune.features import TrunkSession
from galago.train.tune.learner import Learner

__all__ = ["prove"]


@torch.inference_mode()
def prove(folder: Path, learner: Learner, source: Checkpoint) -> SelfCheck:
    """Figures of the comparison; SelfCheckError for a folder that strays and must not be kept."""
    written = open_checkpoint(folder)
    found = reference_of(written)
    learner.eval()
    device = learner.projector[0].weight.device
    trunk = TrunkSession(source) if learner.trunk is None else None
    features = [_look(learner, trunk, pixels, device) for pixels in found.pixels]
    logits = [_say(learner, found, at, device) for at in range(len(found.sequences))]
    narrow = any(tensor.dtype != "F32" for tensor in written.tensors.values())
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


def _look(
    learner: Learner, trunk: TrunkSession | None, pixels: Float, device: torch.device
) -> Float:
    seen = pixels if trunk is None else trunk.look(pixels[0])[None]
    tokens = learner.look(torch.from_numpy(seen).to(device))[0]
    return np.asarray(tokens.float().cpu().numpy(), np.float32)


def _say(learner: Learner, found: Reference, at: int, device: torch.device) -> Float:
    """Logits (n, vocab) behind the same embeddings, at the same positions."""
    kind = learner.decoder.get_input_embeddings().weight.dtype
    sequence = torch.from_numpy(np.ascontiguousarray(found.sequences[at])).to(device, kind)
    hidden = learner.decoder.model(inputs_embeds=sequence[None], use_cache=False).last_hidden_state
    rows = hidden[0, torch.from_numpy(found.takes[at]).to(device)]
    return np.asarray(learner.decoder.lm_head(rows).float().cpu().numpy(), np.float32)
