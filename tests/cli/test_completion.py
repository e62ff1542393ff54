"""Completion for the shell that was named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]
SIGNS = {
    "bash": "complete -o default -F",
    "zsh": "compdef _galago_completion galago",
    "fish": "complete --command galago",
    "powershell": "Register-ArgumentCompleter",
    "pwsh": "Register-ArgumentCompleter",
}


@pytest.mark.parametrize("shell", SIGNS)
def test_the_shell_that_was_named_is_shown(capsys: Capture, shell: str) -> None:
    result = run(capsys, "--show-completion", shell)
    assert result.code == 0 and not result.err and SIGNS[shell] in result.out
    assert run(capsys, "--show-completion", shell.upper()).out == result.out


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".bash_completions/galago.sh"),
        ("zsh", ".zfunc/_galago"),
        ("fish", ".config/fish/completions/galago.fish"),
    ],
)
def test_the_shell_that_was_named_is_installed(
    capsys: Capture, clean_world: Path, shell: str, place: str
) -> None:
    result = run(capsys, "--install-completion", shell)
    assert result.code == 0 and str(clean_world / place) in result.err
    assert SIGNS[shell] in (clean_world / place).read_text()


def test_without_a_name_the_one_that_runs(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    import shellingham  # type: ignore[import-untyped]

    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("fish", "/usr/bin/fish"))
    assert SIGNS["fish"] in run(capsys, "--show-completion").out

    def unknown() -> None:
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", unknown)
    result = run(capsys, "--install-completion")
    assert result.code == 2 and "say which shell it is" in result.line
    assert "choose one of bash, zsh" in run(capsys, "--show-completion", "klingon").line


def test_a_home_that_cannot_be_written_is_told(capsys: Capture, clean_world: Path) -> None:
    (clean_world / ".config").write_text("a file")
    result = run(capsys, "--install-completion", "fish")
    assert result.code == 2 and "--show-completion fish prints it" in result.line
