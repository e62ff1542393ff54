"""What a model itself said, kept beside an export that isn't whole, so that nobody asks it twice.

Of FastVLM-7B that takes minutes: an export that was stopped while it was checked goes on there.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from galago.convert.selfcheck import Reference
from galago.export.figures import Answers

__all__ = ["forget_asked", "keep_asked", "kept_asked"]

_FILE, _LISTS = "asked.npz", ("pixels", "features", "sequences", "takes", "logits")


def keep_asked(folder: Path, reference: Reference, answers: Answers | None) -> None:
    """Whole or not at all; for the very source and version that `folder` is made of."""
    arrays = {
        f"{name}.{index}": array
        for name in _LISTS
        for index, array in enumerate(getattr(reference, name))
    }
    said = np.frombuffer(json.dumps(answers).encode(), np.uint8)
    part = folder / f"part-{_FILE}"
    np.savez(part, said=said, **arrays)
    part.replace(folder / _FILE)


def kept_asked(folder: Path) -> tuple[Reference, Answers | None] | None:
    """What was kept; None where nothing was, or what can't be read."""
    try:
        with np.load(folder / _FILE, allow_pickle=False) as found:
            count = sum(name.startswith(f"{_LISTS[0]}.") for name in found.files)
            lists = [[found[f"{name}.{index}"] for index in range(count)] for name in _LISTS]
            said = json.loads(found["said"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Reference(*lists), None if said is None else [tuple(one) for one in said]


def forget_asked(folder: Path) -> None:
    """What is kept is no part of the export."""
    for path in folder.glob(f"*{_FILE}"):
        path.unlink()
