"""An adapter: what LoRA learnt, in peft's files, added to its base's tensors while they are read.

`adapter_model.safetensors` holds, under peft's prefix and the names of the layout's own PyTorch
model, two matrices for each linear layer that learnt, and whole tensors of a projector or a trunk
that did (peft's modules_to_save). Nothing of peft or torch is needed, nothing else is believed:
a tensor without a place is refused, a pickle never opened. A base that isn't the one it was made
on, by its bytes, is refused too. (W + alpha / r B A: https://arxiv.org/abs/2106.09685.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.checkpoints.fields import Fields
from galago.checkpoints.folders import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    adapter_files,
    base_changed,
    base_of,
)
from galago.checkpoints.names import PROJECTOR, VISION, fast_vlm_to_llava, llava_to_fast_vlm
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import AdaptedTensor, LazyTensor, Tensor
from galago.disk import file_sha256, read_json
from galago.errors import CheckpointError
from galago.specs import VLMSpec

__all__ = ["MOST_RANK", "PREFIX", "adapted", "check_base", "peft_name"]

PREFIX = "base_model.model."
MOST_RANK = 1024  # of LoRA: published ones have up to 256
_LORA = re.compile(r"(.+)\.lora_([AB])\.weight")
_WHOLE = (PROJECTOR, VISION)
# What peft can do and this reader can't: absent, null, or as here.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "use_rslora": (False,),
    "use_dora": (False,),
    "lora_bias": (False,),
    "use_qalora": (False,),
    "alora_invocation_tokens": (),
    "rank_pattern": ({},),
    "alpha_pattern": ({},),
    "trainable_token_indices": (),
    "target_parameters": ([],),
    "layer_replication": (),
    "init_lora_weights": (True, False, "gaussian"),
    "use_bdlora": (),
    "kasa_config": (),
    "velora_config": (),
    "monteclora_config": (),
}


def peft_name(name: str, spec: VLMSpec) -> str:
    """A canonical name as peft stores it of a model of this layout."""
    fast = spec.layout == "fast_vlm"
    return PREFIX + (llava_to_fast_vlm(name, spec.vision) if fast else name)


def check_base(folder: Path) -> None:
    """CheckpointError unless an adapter's base is what it was, byte for byte.

    Reads it whole: a base that was trained on keeps its names, shapes and sizes.
    """
    base = base_of(folder)
    for name, (_, digest) in adapter_files(folder).items():
        if file_sha256(base / name) != digest:
            raise CheckpointError(base_changed(folder))


def adapted(folder: Path, base: Mapping[str, Tensor], spec: VLMSpec) -> dict[str, Tensor]:
    """The base's tensors (canonical names) with what the adapter in `folder` changes of them.

    CheckpointError for a damaged adapter, one with more than LoRA, and one that doesn't fit.
    """
    rank, scale = _scale(folder)
    file = SafetensorsFile(folder / ADAPTER_WEIGHTS)
    found, pairs = dict(base), dict[str, dict[str, LazyTensor]]()
    for raw, tensor in file.tensors.items():
        lora = _LORA.fullmatch(raw)
        name = _canonical(f"{lora[1]}.weight" if lora else raw, spec)
        if tensor.dtype not in ("F32", "F16", "BF16") or name not in base:
            raise CheckpointError(_misfit(file, raw))
        if lora:
            pairs.setdefault(name, {})[lora[2]] = tensor
        elif name.startswith(_WHOLE) and tensor.shape == base[name].shape:
            found[name] = tensor
        else:
            raise CheckpointError(_misfit(file, raw))
    if not pairs:
        raise CheckpointError(f"{file.path} holds nothing of LoRA; train again")
    for name, pair in pairs.items():
        found[name] = _added(file, name, base[name], pair, rank, scale)
    return found


def _added(
    file: SafetensorsFile,
    name: str,
    base: Tensor,
    pair: dict[str, LazyTensor],
    rank: int,
    scale: float,
) -> Tensor:
    down, up = pair.get("A"), pair.get("B")
    if down is None or up is None or len(base.shape) != 2 or isinstance(base, AdaptedTensor):
        raise CheckpointError(_misfit(file, name))
    rows, columns = base.shape
    if (up.shape, down.shape) != ((rows, rank), (rank, columns)):
        raise CheckpointError(_misfit(file, name))
    # As a merged folder has it: in the base's type, int8 in bf16.
    dtype = base.dtype if isinstance(base, LazyTensor) else "BF16"
    return AdaptedTensor(name, base, down, up, scale, dtype)


def _canonical(raw: str, spec: VLMSpec) -> str:
    name = raw.removeprefix(PREFIX)
    return fast_vlm_to_llava(name, spec.vision) if spec.layout == "fast_vlm" else name


def _misfit(file: SafetensorsFile, name: str) -> str:
    return f"{file.path}: {name!r:.120} doesn't fit its base; train the adapter again"


def _scale(folder: Path) -> tuple[int, float]:
    """r and alpha / r; CheckpointError for what is more than LoRA."""
    config = Fields(folder / ADAPTER_CONFIG, read_json(folder / ADAPTER_CONFIG))
    for key, values in _PLAIN.items():
        config.only(key, *values, why="merge the adapter with peft (merge_and_unload)")
    rank, alpha = config.whole("r"), config.number("lora_alpha")
    if not 0 < rank <= MOST_RANK or not abs(alpha) <= 1e6:
        raise CheckpointError(f"{config.path}: r {rank} and lora_alpha {alpha} are not possible")
    return rank, alpha / rank
