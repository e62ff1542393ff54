"""Peers of the benchmark report their use unless they are told not to; here they are told."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["quiet_onnxruntime"]


def quiet_onnxruntime() -> Any:
    """ONNX Runtime, told before it loads that it is to report nothing.

    From 1.29 on its wheel for Linux looks up a host of Microsoft's within 45 seconds and keeps a
    database of events, whatever disable_telemetry_events() was told; this variable alone ends that.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime
