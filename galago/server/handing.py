"""A listening socket for another process: what it inherits, or a copy that is made out to it alone.

Windows makes a copy out to a process by its number (WSADuplicateSocket).  That is the number that
the process itself tells: the python.exe of a virtual environment only starts another one, and what
was started here is then not who serves.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any

__all__ = ["give", "options", "take"]

if sys.platform == "win32":

    def options(listening: socket.socket) -> dict[str, Any]:
        """For the Popen of a process that is to have the socket, and no Ctrl-C."""
        return {"creationflags": 0x200}  # a group of its own

    def give(listening: socket.socket, process: int) -> bytes:
        """What `take` makes the socket of, in the process of that number.  OSError."""
        return listening.share(process)

    def take(given: bytes) -> socket.socket:
        """The socket that was given to this process.  OSError."""
        return socket.fromshare(given)

else:

    def options(listening: socket.socket) -> dict[str, Any]:
        """For the Popen of a process that is to have the socket, and no Ctrl-C."""
        return {"pass_fds": (listening.fileno(),), "start_new_session": True}

    def give(listening: socket.socket, process: int) -> bytes:
        """What `take` makes the socket of, in the process of that number.  OSError."""
        if listening.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return str(listening.fileno()).encode()

    def take(given: bytes) -> socket.socket:
        """The socket that was given to this process.  OSError."""
        found = socket.socket(fileno=int(given))
        found.set_inheritable(False)  # not for the processes that open pictures
        return found
