"""What README says can be typed can be typed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commandline import run
from tests.helpers.places import TOP

PAGES = [TOP / "README.md", TOP / "README.zh.md", *sorted((TOP / "docs").glob("*.md"))]


def test_python_example(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (TOP / "README.md").read_text("utf-8"), re.DOTALL)
    assert code
    note = next((TOP / "examples").glob("note.*"))
    shutil.copy(note, tmp_path / "note.jpg")
    done = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(TOP), "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "(36," in done.stdout, "thirty-six image tokens at 384 pixels"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_pages_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^\s*(?:\$ )?galago (\w+)(.*)$", page.read_text("utf-8"), re.MULTILINE)
    for verb, rest in commands:
        known = run(capsys, verb, "--help").out
        for option in re.findall(r"(?<!\S)(--?[a-z][\w-]*)", rest):
            assert option in known, f"{page.name}: galago {verb} {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"^ +make ([a-z]+)$", page.read_text("utf-8"), re.M)) <= targets
