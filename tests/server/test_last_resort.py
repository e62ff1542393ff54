"""The end of a server in which native code lets no Python run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

_SERVER = """
import ctypes, os, sys, threading
from galago.server import run
try:
    import galago.server.last_resort
    galago.server.last_resort._LATER = 0.3
except ImportError:
    pass
hangs = sys.argv[1] == "hangs"

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        print("started", flush=True)
        if hangs:  # with Python's lock
            threading.Thread(target=ctypes.PyDLL(None).sleep, args=(15,), daemon=True).start()
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

run.serve(app, run.listen("127.0.0.1", 0), lambda: os._exit(0), grace=0.3)
"""


@pytest.mark.parametrize(("how", "code"), [("hangs", -signal.SIGKILL), ("idle", 0)])
@pytest.mark.slow
def test_a_stopped_server_ends_whatever_holds_python(how: str, code: int, tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(_SERVER, "utf-8")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == b"started\n"
            time.sleep(0.2)
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == code
            assert time.monotonic() - began < 15
        finally:
            server.kill()
