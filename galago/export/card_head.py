"""How the README of every exported folder begins: what it is, and whose."""

from __future__ import annotations

from galago.hub.resolve import ResolvedModel
from galago.version import __version__

__all__ = ["head"]


def head(model: ResolvedModel, form: str) -> list[str]:
    """Title, origin and licence; `form`: in which the model is now."""
    licence = model.row.licence.line if model.row else "that of the model it is made of"
    return [
        f"# {model.name} in {form}",
        "",
        f"Made by galago {__version__} from {model.name}, straight from its tensors. "
        f"Licence of the weights: {licence}.",
        "",
    ]
