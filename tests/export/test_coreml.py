"""Packages as they are written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("coremltools", reason="needs the extra coreml")

from galago.checkpoints.vlm import open_checkpoint
from galago.engine.coreml import ct
from galago.engine.mil import Package
from galago.export import coreml
from galago.export.coreml import write_decoder


@pytest.mark.slow
def test_fewer_passes_leave_the_same(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with all passes that coremltools runs when it isn't told which."""
    source, every, found = open_checkpoint(tiny), ct.PassPipeline().passes, []
    for name, passes in {"ours": coreml._PASSES, "all": every}.items():
        monkeypatch.setattr(coreml, "_PASSES", passes)
        write_decoder(source, 8, tmp_path / f"{name}.mlpackage")
        operations = Package(tmp_path / f"{name}.mlpackage").operations
        found.append(Counter(one.op_type for one in operations))
    assert found[0] == found[1] and len(coreml._PASSES) == len(every) > 60
