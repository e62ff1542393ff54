"""The `galago` command: runs a verb and turns whatever happens into one line and an exit code.

Exit codes: 0 done; 1 some pictures of many failed, or a video could be read only in part; 2 nothing
could be done (bad picture, model, option or network); 3 a fault of galago's own; 130 interrupted;
141 the reader of stdout went away.
GALAGO_DEBUG=1 shows the traceback of an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["guarded", "main", "run"]


def run() -> None:
    """The entry point of the installed command."""
    raise SystemExit(main())


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line (sys.argv when None) and return its exit code; never a traceback."""
    arguments = list(sys.argv[1:] if args is None else args)

    def verb() -> object:
        # Imported here so that Ctrl-C while modules load is caught too.
        from galago.cli.app import app

        return app(args=list(arguments), prog_name="galago", standalone_mode=False)

    return guarded(verb, arguments)


def guarded(work: Callable[[], object], arguments: Sequence[str] = ()) -> int:
    """Do that, and return the exit code that it comes to; never a traceback."""
    try:
        from galago.cli.terminal import take_any_letter

        take_any_letter()
        code = work()
        sys.stdout.flush()
        if code == 130:  # Typer has caught the Ctrl-C
            return _interrupted()
        return code if isinstance(code, int) else 0
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # Typer has caught it, and says 1
            return _closed()
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return _closed()
    except Exception as error:
        if os.environ.get("GALAGO_DEBUG"):
            raise
        return _explain(error, arguments)


def _explain(error: Exception, arguments: Sequence[str]) -> int:
    """One line on stderr for an error, and its exit code."""
    from galago.cli.terminal import complain
    from galago.disk import refusal
    from galago.errors import GalagoError

    if isinstance(error, GalagoError):
        complain(str(error))
        return 2
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):
        return _usage(error, arguments)
    if type(error).__name__ == "Abort":  # end of input at a question
        return _interrupted()
    if isinstance(error, MemoryError):
        complain(
            "not enough memory: try --precision int4, a smaller --resolution or a smaller model"
        )
        return 2
    if isinstance(error, OSError) and refusal(error) == "full":
        complain("the disk is full: make room, or set GALAGO_CACHE to a folder on a larger disk")
        return 2
    what = " ".join(str(error).split())[:300]
    complain(
        f"this is a fault of galago ({type(error).__name__}: {what}); "
        "run again with GALAGO_DEBUG=1 to see where"
    )
    return 3


def _usage(error: Any, arguments: Sequence[str]) -> int:
    """A usage error of Typer's in one line; the whole help where nothing was asked."""
    from galago.cli.terminal import complain, say
    from galago.cli.usage import explained

    if type(error).__name__ == "NoArgsIsHelpError":
        say(*str(error.format_message()).splitlines())
    else:
        complain(explained(error, arguments))
    return int(error.exit_code)


def _interrupted() -> int:
    print(file=sys.stderr)
    return 130


def _closed() -> int:
    """The reader of stdout is gone: stay quiet, also when Python flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
