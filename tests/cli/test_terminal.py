"""What a terminal is told: odd paths in one line, stages that stay and stages that go."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from galago.cli.terminal import path_fields, shown, stages
from galago.progress import Stage


def test_a_shell_reads_back_what_is_shown() -> None:
    for path in ("plain.jpg", "it's\n.jpg", "back\\slash\t.jpg", "bad\udcff.jpg", "\x1b[0m"):
        text = shown(path)
        assert text.isprintable()
        if text != path and (bash := shutil.which("bash")):
            done = subprocess.run([bash, "-c", f"printf %s {text}"], capture_output=True)
            assert done.stdout == path.encode("utf-8", "surrogateescape")
    assert path_fields("a.jpg") == {"path": "a.jpg"}


def test_a_stage_says_itself_whether_it_stays(capsys: pytest.CaptureFixture[str]) -> None:
    told = (Stage("a licence", lasting=True), Stage("waiting for another galago"), Stage("working"))
    with stages() as report:
        for stage in (*told, told[0]):
            report(stage, 0.0)
            report(stage, 0.5)  # said once
    assert capsys.readouterr().err == "a licence\na licence\n"
    with stages(verbose=True) as report:
        for stage in told:
            report(stage, 0.0)
    assert capsys.readouterr().err == "a licence\nwaiting for another galago\nworking\n"


def test_at_a_terminal_a_lasting_stage_is_a_line_and_others_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with stages() as report:
        report(Stage("a licence of [somebody]", lasting=True), 0.0)
        report(Stage("fetching, slowly"), 0.5)
    lines = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", capsys.readouterr().err).splitlines()
    assert "a licence of [somebody]" in lines and not any("slowly" in line for line in lines)
