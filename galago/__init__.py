"""galago: vision-language models of the FastVLM family on every CPU.

    import galago

    vlm = galago.FastVLM.load("fastvlm-nano")
    print(vlm.ask("note.jpg", "What is written in this image?"))

Names are loaded on first use (PEP 562), so `import galago` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galago.errors import (
        CheckpointError,
        GalagoError,
        HubError,
        ImageError,
        MissingExtraError,
        ModelError,
        OfflineError,
        OptionError,
        SelfCheckError,
        StorageError,
        UnknownModelError,
    )
    from galago.fastvlm import Chunk, Conversation, EncodedImage, FastVLM, Stats
    from galago.mobileclip import LabelSet, MobileCLIP
    from galago.presets import PRESETS, preset_prompt
    from galago.sampling import SamplingOptions
    from galago.templates import TEMPLATES

__version__ = "0.1.0"

_HOMES = {
    "galago.errors": (
        "CheckpointError",
        "GalagoError",
        "HubError",
        "ImageError",
        "MissingExtraError",
        "ModelError",
        "OfflineError",
        "OptionError",
        "SelfCheckError",
        "StorageError",
        "UnknownModelError",
    ),
    "galago.fastvlm": ("Chunk", "Conversation", "EncodedImage", "FastVLM", "Stats"),
    "galago.mobileclip": ("LabelSet", "MobileCLIP"),
    "galago.presets": ("PRESETS", "preset_prompt"),
    "galago.sampling": ("SamplingOptions",),
    "galago.templates": ("TEMPLATES",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "PRESETS",
    "TEMPLATES",
    "CheckpointError",
    "Chunk",
    "Conversation",
    "EncodedImage",
    "FastVLM",
    "GalagoError",
    "HubError",
    "ImageError",
    "LabelSet",
    "MissingExtraError",
    "MobileCLIP",
    "ModelError",
    "OfflineError",
    "OptionError",
    "SamplingOptions",
    "SelfCheckError",
    "Stats",
    "StorageError",
    "UnknownModelError",
    "__version__",
    "preset_prompt",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'galago' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
