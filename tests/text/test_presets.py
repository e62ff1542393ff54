"""The ready questions."""

from __future__ import annotations

import pytest

from galago.errors import OptionError
from galago.text.presets import PRESETS, preset_prompt


def test_presets() -> None:
    assert set(PRESETS) == {"describe", "brief", "read", "count", "expression", "translate"}
    assert preset_prompt("read") == PRESETS["read"]
    assert preset_prompt("translate") == "Translate the text in this image into English."
    assert preset_prompt("translate", to=" German ").endswith("into German.")
    with pytest.raises(OptionError, match="describe, brief"):
        preset_prompt("poem")
    with pytest.raises(OptionError, match="language"):
        preset_prompt("translate", to=" ")
