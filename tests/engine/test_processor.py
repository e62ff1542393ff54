"""The settings that a graph runs with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from galago.engine import processor
from galago.engine.processor import options
from tests.helpers.places import TOP

ANYWHERE = """
import os
import numpy as np
from galago.engine.processor import options
from galago.engine.runtime import op, ov
given = op.parameter([512, 512], ov.Type.f32)
product = op.matmul(given, op.constant(np.ones((512, 512), np.float32)), False, False)
compiled = ov.Core().compile_model(ov.Model([product], [given]), "CPU", options("f32", 2))
compiled([np.ones((512, 512), np.float32)])
ours = os.sched_getaffinity(0)
assert all(os.sched_getaffinity(int(one)) == ours for one in os.listdir("/proc/self/task"))
"""


def test_who_shares_a_machine_is_not_tied_to_processors() -> None:
    assert options("f32", 3)["INFERENCE_NUM_THREADS"] == 3
    assert options("f32", 3)["ENABLE_CPU_PINNING"] is False
    assert not {"INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING"} & set(options("f32", None))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_threads_of_a_graph_may_run_anywhere() -> None:
    done = subprocess.run([sys.executable, "-c", ANYWHERE], capture_output=True, cwd=TOP)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("flags", "multiplies"),
    [
        ("fpu avx2 avx512f avx512_vnni", True),
        ("fpu avx2 avx_vnni", True),
        ("fpu avx512f amx_bf16 amx_tile amx_int8", True),
        ("fpu avx2 fma avx512f", False),
        ("fp asimd i8mm", False),
        ("", False),  # where no system says
    ],
)
def test_who_multiplies_bytes(
    flags: str, multiplies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "instructions", lambda: f"Flags: {flags}".rstrip())
    assert processor.multiplies_bytes() is multiplies
