"""What README says can be typed can be typed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commandline import run
from tests.helpers.places import TOP

PAGES = [TOP / "README.md", TOP / "README.zh.md", *sorted((TOP / "docs").glob("*.md"))]


@pytest.mark.slow
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
    text = page.read_text("utf-8")
    for verb, rest in re.findall(
        r"^\s*(?:\$ )?(?:\.venv/bin/)?galago (\w[\w-]*)(.*)$", text, re.MULTILINE
    ):
        known = run(capsys, verb, "--help").out
        inner = next(iter(rest.split()), "")
        if f"\n  {inner} " in known.partition("Commands:")[2]:  # a verb of several words
            known += run(capsys, verb, inner, "--help").out
        for option in re.findall(r"(?<!\S)(--?[a-z][\w-]*)", rest):
            assert option in known, f"{page.name}: galago {verb} {option}"


@pytest.mark.model
def test_the_first_answer_is_what_galago_says(capsys: pytest.CaptureFixture[str]) -> None:
    for page in PAGES[:2]:
        shown = re.findall(
            r"^    \$ \.venv/bin/galago (.+)\n    (.+)$", page.read_text("utf-8"), re.M
        )
        assert shown, page
        for command, answer in shown:
            assert run(capsys, *shlex.split(command)).out == f"{answer}\n", command


def test_nothing_is_installed_by_a_name_that_is_not_ours() -> None:
    """On an index of packages `galago` is somebody else's: it is installed from its folder."""
    bare = re.compile(r"\b(?:pipx?|uv tool) install\s+(?:-\S+\s+)*['\"]?galago(?![\w./-])")
    assert bare.search("pip install 'galago[video]'") and bare.search("pipx install -q galago")
    for where in (
        "*.md",
        "docs/*.md",
        "tools/*.py",
        "galago/**/*.py",
        "galago/**/*.md",
        "page/src/**",
    ):
        for path in (path for path in TOP.glob(where) if path.is_file()):
            found = bare.search(path.read_text("utf-8"))
            assert found is None, f"{path}: {found and found[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"^ +make ([a-z]+)$", page.read_text("utf-8"), re.M)) <= targets
