"""Completion for shells: `galago --show-completion zsh`, `galago --install-completion fish`."""

from __future__ import annotations

from typing import Annotated

import typer

from galago.cli.terminal import say, shown, write
from galago.errors import OptionError, StorageError

__all__ = ["OPTIONS", "InstallCompletion", "ShowCompletion", "learn_shells"]

OPTIONS = ("--show-completion", "--install-completion")
_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_NAMES = "|".join(_SHELLS)


def learn_shells() -> None:
    """Teach Typer the shells; it does so by itself only with options of its own.

    Those detect the shell that is running and ignore the one that is named.
    """
    from typer._completion_classes import completion_init

    completion_init()


def _shell(named: str) -> str:
    """The shell that is meant; OptionError when it is none that is known."""
    shell = named.casefold()
    if shell == "auto":
        import shellingham  # type: ignore[import-untyped]

        try:
            shell = str(shellingham.detect_shell()[0]).casefold()
        except shellingham.ShellDetectionFailure:
            shell = "unknown"
        if shell not in _SHELLS:
            raise OptionError(f"say which shell it is: galago {OPTIONS[1]} {_NAMES}")
    if shell not in _SHELLS:
        raise OptionError(f"no completion for {named!r}: choose one of {', '.join(_SHELLS)}")
    return shell


def _show(named: str | None) -> None:
    if named is None:
        return
    from typer._completion_shared import get_completion_script

    shell = _shell(named)
    name, variable = "galago", "_GALAGO_COMPLETE"
    write(get_completion_script(prog_name=name, complete_var=variable, shell=shell) + "\n")
    raise typer.Exit


def _install(named: str | None) -> None:
    if named is None:
        return
    from typer._completion_shared import install

    shell = _shell(named)
    try:
        _, path = install(shell, "galago", "_GALAGO_COMPLETE")
    except OSError as error:
        told = f"completion for {shell} can't be installed ({error.strerror or error})"
        raise StorageError(f"{told}; {OPTIONS[0]} {shell} prints it") from None
    say(f"completion for {shell} stands in {shown(str(path))}; open a new terminal to have it")
    raise typer.Exit


ShowCompletion = Annotated[
    str | None,
    typer.Option(
        OPTIONS[0],
        metavar="[SHELL]",
        callback=_show,
        is_eager=True,
        help=f"Print completion for a shell ({_NAMES}); for the one that runs when none is named.",
    ),
]
InstallCompletion = Annotated[
    str | None,
    typer.Option(
        OPTIONS[1], metavar="[SHELL]", callback=_install, is_eager=True, help="Install the same."
    ),
]
