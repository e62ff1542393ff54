"""The worked example, at a size of seconds: drawn things that the embedded model learns."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

TOP = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.model
def test_things_it_could_not_name_it_can(tmp_path: Path) -> None:
    script = TOP / "examples" / "finetune" / "ten_things.py"
    size = ("--things", "3", "--pictures", "16", "--epochs", "4")
    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out"), *size],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    told = re.findall(r"(before|after): (\d+) of (\d+) held-out pictures", ran.stdout)
    (_, before, asked), (_, after, again) = told
    assert int(asked) == int(again) >= 3  # by a hash of the drawings, which Pillow may draw anew
    assert int(before) == 0 and 3 * int(after) >= 2 * int(asked), ran.stdout
    assert "drawn notes read without an error" in ran.stdout
    assert (tmp_path / "out" / "model" / "README.md").read_text("utf-8").count("of 60") >= 2
