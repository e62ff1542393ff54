"""Exported files in ONNX Runtime, the program they are written for.

It gives galago's own features in every dtype, and the logits that the proof saw in the same file;
nothing of its use is kept or reported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galago.bench.telemetry import quiet_onnxruntime
from galago.checkpoints.vlm import open_checkpoint
from galago.convert.load import load_sessions
from galago.export import fastvlm
from galago.export.fastvlm import DTYPES, GRAPHS, file_name
from galago.export.readback import ExportedLanguage
from tests.helpers.checkpoints import tiny_llava
from tests.helpers.places import TOP

QUIET = "from galago.bench.telemetry import quiet_onnxruntime; quiet_onnxruntime()"
# Cosines: where weights have few bits ONNX Runtime rounds activations to 8 (accuracy_level 4).
LEAST = 0.999


@pytest.mark.parametrize("dtype", DTYPES)
def test_onnxruntime_says_the_same(
    dtype: str, tmp_path: Path, report: Callable[[str, float], float]
) -> None:
    source, one = open_checkpoint(tiny_llava(tmp_path / "model")), DTYPES[dtype]
    text, vision, table, decoder = source.spec.text, *(tmp_path / file_name(g, one) for g in GRAPHS)
    fastvlm.write_vision(source, one, vision, None)
    fastvlm.write_embedding(source, one, table, text.vocab)
    fastvlm.write_decoder(source, one, decoder)
    pixels = np.random.default_rng(0).random((1, 3, 256, 192), np.float32)
    (features,) = _run(vision, {"pixel_values": pixels}, ["image_features"])
    found = _cosine(features, load_sessions(source, "fp32").vision.encode(pixels))
    assert report(f"1 - cosine, features in ONNX Runtime, {dtype}", 1 - found) <= 1 - LEAST
    ids = np.arange(40, 60)
    (rows,) = _run(table, {"input_ids": ids[None]}, ["inputs_embeds"])
    kind = np.float16 if one.half_cache else np.float32
    names = [f"{n}.{part}" for n in range(text.layers) for part in ("key", "value")]
    past = {n: np.zeros((1, text.kv_heads, 0, text.head_dim), kind) for n in names}
    for start, stop in ((0, 15), (15, 16), (16, 20)):  # through the cache
        given = {"inputs_embeds": rows[:, start:stop], "attention_mask": np.ones((1, stop), int)}
        given |= {f"past_key_values.{name}": held for name, held in past.items()}
        logits, *held = _run(decoder, given, ["logits", *(f"present.{name}" for name in names)])
        past = dict(zip(names, held, strict=True))
    # Against the file as OpenVINO reads it: few bits alone move a random model's logits by far.
    expected = ExportedLanguage(tmp_path, one, text).new_cache().append(rows[0])
    found = _cosine(logits, expected)
    assert report(f"1 - cosine, logits in ONNX Runtime, {dtype}", 1 - found) <= 1 - LEAST


def _run(path: Path, inputs: dict[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
    session = quiet_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(outputs, inputs)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _bare(home: Path) -> dict[str, str]:
    """A user's environment: where a variable speaks of CI, ONNX Runtime is quiet by itself."""
    paths = os.pathsep.join([str(TOP), os.environ.get("PYTHONPATH", "")])
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": paths}
    return {"PATH": os.environ["PATH"], **own}


@pytest.mark.parametrize(("code", "silent"), [(QUIET, True), ("import onnxruntime", False)])
def test_onnxruntime_keeps_nothing_of_its_use(code: str, silent: bool, tmp_path: Path) -> None:
    """Left alone it keeps a database of events: were that to end, this test would say nothing."""
    subprocess.run([sys.executable, "-c", code], env=_bare(tmp_path), check=True, timeout=120)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (not files) == silent, files


@pytest.mark.skipif("GALAGO_WATCH" not in os.environ, reason="takes a minute: make watch-peers")
@pytest.mark.parametrize(("code", "silent"), [(QUIET, True), ("import onnxruntime", False)])
def test_onnxruntime_opens_no_socket(code: str, silent: bool, tmp_path: Path) -> None:
    """By the system's own record: what it does is done by compiled code, up to 45 seconds later."""
    env = _bare(tmp_path)
    calls = tmp_path / "calls"
    traced = ["strace", "-f", "-e", "trace=socket", "-o", str(calls)]
    wait = "; import time; time.sleep(60)"
    subprocess.run([*traced, sys.executable, "-c", code + wait], env=env, check=True, timeout=240)
    assert ("AF_INET" not in calls.read_text("utf-8")) == silent
