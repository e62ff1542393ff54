"""The number format that training computes in."""

from __future__ import annotations

from typing import Any

import torch


def autocast() -> Any:
    """Products in bfloat16 where the processor has instructions for it, else float32.

    Without them torch falls back to reference loops: with AVX2 alone a convolutional network took
    a hundred times as long in bfloat16 as in float32.
    """
    native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=native)
