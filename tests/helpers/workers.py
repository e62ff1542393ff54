"""A supervisor in a process of its own, with workers that answer at once and have no models."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.helpers.places import TOP
from tests.helpers.serving import ask
from tests.helpers.waiting import until

__all__ = ["Supervised", "lives", "start", "supervised"]

WORKER = """
import asyncio, json, os, sys
from pathlib import Path
from galago.server.worker import take_place
place = take_place()
if place.given == "nothing":
    print("galago: no such model", file=sys.stderr)
    sys.exit(2)
from galago.server.run import serve
from galago.server.together import Together

def note(name):
    made = Path(sys.argv[1], name + ".tmp")
    made.write_text(str(os.getpid()))
    made.replace(made.with_suffix(""))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/wait":
        note("waits")
        await asyncio.sleep(1)
    told = {"worker": place.number, "pid": os.getpid(), "given": place.given}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})

def begun(server):
    place.stop = server.stop
    note(str(place.number))
    place.ready({"own": place.number})

serve(
    Together(app, place.colleagues, 5.0), place.listening, lambda: os._exit(0),
    grace=5.0, worker=place.number, begun=begun,
)
os._exit(0)
"""

# Starts another process and waits for it, as python.exe of a virtual environment on Windows does.
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:], close_fds=False))"

# The socket as Windows hands it over: to the process of a number, and to no other.
SHARED = """
import os, socket
from galago.server import handing
def give(listening, process):
    return f"{process} {listening.fileno()}".encode()
def take(given):
    process, number = map(int, given.split())
    if process != os.getpid():
        raise OSError("made out to another process")
    return socket.socket(fileno=number)
handing.give, handing.take = give, take
"""

PARENT = """
import sys
exec(sys.argv[4])
from galago.errors import GalagoError
from galago.server.run import listen
from galago.server.supervisor import Supervisor
listening = listen("127.0.0.1", 0)

def opened(told):
    assert told == {"own": 1}
    print("port", listening.getsockname()[1], flush=True)
    return "of the first"

tell = lambda line: print("told", line, flush=True)
command = [*sys.argv[5:], sys.executable, "-c", sys.argv[1], sys.argv[2]]
code = Supervisor(listening, 2, command, tell, 5.0).run(sys.argv[3], opened)
sys.exit(code)
"""


@dataclass
class Supervised:
    process: subprocess.Popen[str]
    folder: Path
    url: str = ""

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def pid(self, name: object) -> int:
        """Of the worker of that number, or the one that has noted something; 0 before that."""
        with contextlib.suppress(OSError):
            return int((self.folder / str(name)).read_text())
        return 0

    def both(self) -> dict[int, int]:
        """Process ids of both workers, by number, once they answer."""
        assert until(lambda: self.health() == {"1": "ok", "2": "ok"}, 60)
        return {number: self.pid(number) for number in (1, 2)}

    def health(self) -> object:
        """Who is there, as one of them says; None when none answers."""
        try:
            return ask(f"{self.url}/health").json["workers"]
        except (OSError, http.client.HTTPException):
            return None


def start(given: str, folder: Path, *, launched: bool = False) -> Supervised:
    """Not answering yet.  `launched`: the workers by a launcher, the socket as Windows has it."""
    first, through = (SHARED, [sys.executable, "-c", LAUNCHER]) if launched else ("", [])
    command = [sys.executable, "-c", PARENT, first + WORKER, str(folder), given, first, *through]
    env = {**os.environ, "PYTHONPATH": str(TOP)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    return Supervised(process, folder)


@contextlib.contextmanager
def supervised(folder: Path, *, launched: bool = False) -> Iterator[Supervised]:
    """Two workers, of which the first answers already; as `start`."""
    found = start("to the first", folder, launched=launched)
    try:
        line = found.out.readline()
        assert line.startswith("port "), line
        found.url = f"http://127.0.0.1:{line.split()[1]}"
        yield found
    finally:
        found.process.kill()
        found.process.communicate()


def lives(process: int) -> bool:
    """Whether it runs; what has ended and wasn't asked for yet doesn't."""
    with contextlib.suppress(OSError):
        state = (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False
