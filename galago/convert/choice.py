"""Which FastVLM is meant when nobody names one; see galago.hub.choice."""

from __future__ import annotations

from galago import catalog
from galago.convert.store import ready
from galago.errors import ModelError
from galago.hub.choice import Candidate, Choice, choose

__all__ = ["choose_fastvlm", "converted"]


def choose_fastvlm(precision: str = "auto", *, quickest: bool = False) -> Choice:
    """As galago.hub.choice.choose, of the FastVLMs that are ready in this precision."""
    return choose("fastvlm", lambda: converted(precision), quickest=quickest)


def converted(precision: str = "auto") -> list[Candidate]:
    """The catalogue's models that are converted, so that none has to be waited for."""
    found = []
    for row in catalog.MODELS:
        if row.kind != "fastvlm" or row.embedded:
            continue
        try:
            entry = ready(row.name, precision)
        except ModelError:  # a damaged one is told when it is named
            continue
        if entry is not None:
            size = sum(file.stat().st_size for file in entry.folder.glob("*.safetensors"))
            found.append(Candidate(row.name, size))
    return found
