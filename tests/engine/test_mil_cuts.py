"""Where programs of Core ML may be cut."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("coremltools", reason="needs the extra coreml")

from galago.checkpoints.vlm import open_checkpoint
from galago.engine.mil import Package
from galago.engine.mil_cuts import cut, held_by, variables_of
from galago.export.coreml import write_decoder, write_vision


def test_cuts_of_a_decoder(tiny: Path, tmp_path: Path) -> None:
    """Nothing lost or moved; no state is cut from what writes it, and no row is in two parts."""
    write_decoder(open_checkpoint(tiny), None, tmp_path / "decoder.mlpackage")
    operations = Package(tmp_path / "decoder.mlpackage").operations
    held = held_by(operations)
    assert set(held.values()) == {"key_cache", "value_cache"}
    pieces = cut(operations, 1, None)
    assert [one for piece in pieces for one in piece] == operations and len(pieces) > 10
    for piece in pieces:
        kinds = [one.op_type for one in piece]
        assert kinds.count("slice_update") == kinds.count("coreml_update_state")
        crossing = {name for name in variables_of(piece) if name in held}
        newest = {one.outputs[0].name for one in operations if one.op_type in _NEWEST}
        assert crossing <= newest


_NEWEST = ("read_state", "coreml_update_state")


def test_parts_are_no_larger_than_asked(tiny: Path, tmp_path: Path) -> None:
    write_vision(open_checkpoint(tiny), tmp_path / "trunk.mlpackage")
    operations = Package(tmp_path / "trunk.mlpackage").operations
    few, many = (len(cut(operations, most, None)) for most in (300_000, 60_000))
    assert 1 < few < many and len(cut(operations, 1 << 40, None)) == 1
