"""How much memory a process holds: its own, not that of the process that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from galago.memory import peak_memory, resident
from tests.helpers.places import TOP

MB = 1 << 20
# A process that has held 300 MB and let them go, and its child; each prints its own peak.
PARENT = """
import subprocess, sys
held = bytearray(300 << 20)
del held
from galago.memory import peak_memory
print(peak_memory(), flush=True)
child = "from galago.memory import peak_memory; print(peak_memory())"
subprocess.run([sys.executable, "-c", child], check=True)
"""


def test_what_is_held_now_is_part_of_the_most_that_was() -> None:
    held = bytearray(20 * MB)
    held[::4096] = b"x" * len(held[::4096])
    assert 20 * MB < resident() <= peak_memory()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system counts a process alone")
def test_a_child_does_not_count_what_its_parent_held() -> None:
    command = [sys.executable, "-c", PARENT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, check=True)
    parent, child = map(int, done.stdout.split())
    assert parent > 300 * MB and 1 * MB < child < 100 * MB
