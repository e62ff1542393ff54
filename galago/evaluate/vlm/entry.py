"""What lmms-eval finds of galago when it looks for models (entry point `lmms_eval.models`)."""

from __future__ import annotations

from typing import Any

__all__ = ["manifest"]


def manifest() -> Any:
    """galago as a model of lmms-eval, `--model galago`; loaded when it is used."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="galago", chat_class_path="galago.evaluate.vlm.plugin.Galago")
