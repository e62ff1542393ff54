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
    from galago.clip.labels import LabelSet
    from galago.clip.mobileclip import MobileCLIP
    from galago.errors import (
        CheckpointError,
        CutShortError,
        GalagoError,
        HubError,
        ImageError,
        MisfitError,
        MissingExtraError,
        ModelError,
        OfflineError,
        OptionError,
        SelfCheckError,
        StorageError,
        UnfinishedError,
        UnknownModelError,
        UnopenedError,
        VideoError,
    )
    from galago.media.pool import PicturePool
    from galago.text.chat import ImageSlot, Message
    from galago.text.presets import PRESETS, preset_prompt
    from galago.text.templates import TEMPLATES
    from galago.version import __version__
    from galago.vlm.fastvlm import Chunk, Conversation, EncodedImage, FastVLM, Stats
    from galago.vlm.forms import Form, json_form
    from galago.vlm.reply import Likely
    from galago.vlm.sampling import SamplingOptions

_HOMES = {
    "galago.errors": (
        "CheckpointError",
        "CutShortError",
        "GalagoError",
        "HubError",
        "ImageError",
        "MisfitError",
        "MissingExtraError",
        "ModelError",
        "OfflineError",
        "OptionError",
        "SelfCheckError",
        "StorageError",
        "UnfinishedError",
        "UnopenedError",
        "UnknownModelError",
        "VideoError",
    ),
    "galago.vlm.fastvlm": ("Chunk", "Conversation", "EncodedImage", "FastVLM", "Stats"),
    "galago.clip.labels": ("LabelSet",),
    "galago.clip.mobileclip": ("MobileCLIP",),
    "galago.media.pool": ("PicturePool",),
    "galago.text.chat": ("ImageSlot", "Message"),
    "galago.text.presets": ("PRESETS", "preset_prompt"),
    "galago.vlm.forms": ("Form", "json_form"),
    "galago.vlm.reply": ("Likely",),
    "galago.vlm.sampling": ("SamplingOptions",),
    "galago.text.templates": ("TEMPLATES",),
    "galago.version": ("__version__",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "PRESETS",
    "TEMPLATES",
    "CheckpointError",
    "Chunk",
    "Conversation",
    "CutShortError",
    "EncodedImage",
    "FastVLM",
    "Form",
    "GalagoError",
    "HubError",
    "ImageError",
    "ImageSlot",
    "LabelSet",
    "Likely",
    "Message",
    "MisfitError",
    "MissingExtraError",
    "MobileCLIP",
    "ModelError",
    "OfflineError",
    "OptionError",
    "PicturePool",
    "SamplingOptions",
    "SelfCheckError",
    "Stats",
    "StorageError",
    "UnfinishedError",
    "UnopenedError",
    "UnknownModelError",
    "VideoError",
    "__version__",
    "json_form",
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
