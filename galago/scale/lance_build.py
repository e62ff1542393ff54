"""Lance builds an index in a process of its own: while it works it hears of no signal, and what a
progress callback raises it often drops, so that nothing else would end it at once.

Whoever is ended leaves nothing: its temporary files lie in a folder that is removed here, and so
is what it began to write into a table of this machine and no version names.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from galago.errors import GalagoError, StorageError
from galago.media.worker import receive, send
from galago.scale.addresses import is_address
from galago.scale.lance_table import LanceTable, short

__all__ = ["Report", "build_apart", "work"]

# A stage of Lance's, how much is done, of how much (None: nobody knows)
Report = Callable[[str, int, int | None], None]
_INDICES = "_indices"
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from galago.scale.lance_build import work; sys.exit(work())"
)


def build_apart(table: LanceTable, options: dict[str, Any], report: Report) -> None:
    """Build an index of the column `vector`; what stops the wait for it, stops it.

    `options` as lance.LanceDataset.create_index has them.  Raises StorageError, which says why.
    """
    with _temporary() as folder, _clean(table):
        process = _started(folder)
        assert process.stdin is not None and process.stdout is not None
        try:
            send(process.stdin, {"place": table.place, "options": options})
            while (head := receive(process.stdout, 0)[0])["do"] == "stage":
                report(head["stage"], head["done"], head["of"])
        except (EOFError, OSError):
            how = _how(process.wait())
            told = f"its process was ended, {how}: is there memory for it?"
            raise StorageError(_unbuilt(table, told)) from None
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # nobody reads what it still held
                    pipe.close()
        if head["do"] != "done":
            raise StorageError(_unbuilt(table, head["why"]))


def _started(folder: str) -> subprocess.Popen[bytes]:
    paths = [os.path.abspath(path) for path in sys.path if path]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
    # Ctrl-C is for whoever waits.
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _START, json.dumps(paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **places},
        **apart,
    )


@contextlib.contextmanager
def _temporary() -> Iterator[str]:
    try:
        folder = tempfile.mkdtemp(prefix="galago-")
    except OSError as error:
        raise StorageError(
            f"no temporary folder can be made ({error.strerror or error}): set TMPDIR to a folder "
            "where you may write"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _clean(table: LanceTable) -> Iterator[None]:
    """What was begun and is part of no version, goes; nobody else writes this table meanwhile."""
    place = os.path.join(table.place, _INDICES)
    before = set() if is_address(table.place) else _inside(place)
    try:
        yield
    except BaseException:
        if not is_address(table.place):
            begun = _inside(place) - before
            for name in begun - _named(table) if begun else ():
                shutil.rmtree(os.path.join(place, name), ignore_errors=True)
            with contextlib.suppress(OSError):  # it isn't empty, or isn't there
                os.rmdir(place)
        raise


def _inside(place: str) -> set[str]:
    try:
        return set(os.listdir(place))
    except OSError:
        return set()


def _named(table: LanceTable) -> set[str]:
    """The folders of indices that the table has now."""
    return {
        str(segment.uuid)
        for index in table.dataset().describe_indices()
        for segment in index.segments
    }


def _unbuilt(table: LanceTable, why: str) -> str:
    return f"the index of {table.place} can't be built ({why}); the table is as it was"


def _how(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


# -- in the process of its own ---------------------------------------------------------------------


def work() -> int:
    """Build what is asked for on stdin, and tell of it on stdout; the exit code."""
    asking, telling = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others write there isn't for whoever waits
    head, _ = receive(asking, 0)
    threading.Thread(target=_leave_with, args=(asking,), daemon=True).start()

    def heard(event: Any) -> None:
        done, of = int(getattr(event, "completed", 0)), getattr(event, "total", None)
        stage = str(getattr(event, "stage", ""))
        send(telling, {"do": "stage", "stage": stage, "done": done, "of": of})

    try:
        found = LanceTable(head["place"]).dataset()
        found.create_index("vector", progress_callback=heard, **head["options"])
    except (GalagoError, ValueError, RuntimeError, OSError) as error:
        send(telling, {"do": "failed", "why": short(error)})
        return 1
    send(telling, {"do": "done"})
    return 0


def _leave_with(asking: IO[bytes]) -> None:
    """Nothing more is asked: when this ends, whoever waits is gone."""
    asking.read()
    os._exit(1)
