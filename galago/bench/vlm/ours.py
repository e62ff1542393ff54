"""Rows of FastVLM as people use it: through `FastVLM` and the command `galago describe`.

Every function takes the row's options and gives a JSON-ready result: `samples` are lists of
measurements (seconds, unless the name says otherwise), `points` are curves, the rest are facts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.bench.photos import save
from galago.bench.vlm.cost import costs
from galago.errors import GalagoError
from galago.hub.resolve import local
from galago.memory import peak_memory, resident
from galago.vlm.fastvlm import FastVLM
from galago.vlm.reply import Stats
from galago.vlm.sampling import SamplingOptions

__all__ = ["curve", "describe", "first", "second", "start"]

Options = Mapping[str, Any]
Points = dict[str, list[float]]
_OTHER = 1000  # numbers of pictures that aren't measured
SETTLING = 3  # short replies that aren't measured, until no more than the system prompt is known


def picture(number: int, side: int) -> npt.NDArray[np.uint8]:
    """(side, side, 3), another for each number, with surfaces as a photo has them."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=0).repeat(16, axis=1)


def question(vlm: FastVLM, tokens: int, fixed: int = 0) -> str:
    """Words of about `tokens` tokens, `fixed` of them not the question's own."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["?"]
    while fixed + len(vlm.tokenizer.encode(" ".join(words))) < tokens:
        words.append(letters[len(words) * 7 % 26])
    return " ".join(words)


def _load(options: Options, threads: int | None = None) -> tuple[FastVLM, dict[str, Any]]:
    before, started = resident(), time.perf_counter()
    vlm = FastVLM.load(
        options["model"],
        precision=options.get("precision", "auto"),
        resolution=options.get("resolution"),
        threads=threads or options["threads"],
        offline=True,
        device=options.get("device"),
        vision_device=options.get("vision_device"),
    )
    if vlm.refused:  # its figures would be the CPU's
        raise GalagoError("; ".join(vlm.devices))
    seconds = time.perf_counter() - started
    return vlm, {"load": seconds, "before_bytes": before, "loaded_bytes": resident()}


def _settle(vlm: FastVLM, tokens: int) -> str:
    """Warms up; gives the question with which each new picture feeds `tokens` of text."""
    asked = question(vlm, tokens)
    for number in range(SETTLING):
        one = SamplingOptions(max_tokens=2)
        stats = list(vlm.stream(picture(_OTHER + number, vlm.resolution), asked, one))[-1].stats
        assert stats is not None
        own = len(vlm.tokenizer.encode(asked))
        fed = stats.prompt_tokens - stats.image_tokens - stats.cached_tokens
        asked = question(vlm, tokens, fixed=fed - own)
    return asked


def _reply(vlm: FastVLM, given: Any, asked: str, tokens: int) -> tuple[Stats, list[float]]:
    """Statistics of one reply, and when each token came (seconds since the question)."""
    started, times, stats = time.perf_counter(), [], None
    for chunk in vlm.stream(given, asked, SamplingOptions(max_tokens=tokens, keep_repetition=True)):
        if chunk.token_id is not None:
            times.append(time.perf_counter() - started)
        stats = chunk.stats or stats
    assert stats is not None
    return stats, times


def first(options: Options) -> dict[str, Any]:
    """A new picture and a question, from a ready array of its pixels on; then some tokens.

    vision holds resizing, trunk and projector; prefill the first token; first_decode the second.
    """
    vlm, facts = _load(options)
    asked = _settle(vlm, options["text_tokens"])
    names = ("vision", "prefill", "first_token", "first_decode", "tokens_per_second")
    samples: Points = {name: [] for name in names}
    for number in range(options["runs"]):
        stats, times = _reply(vlm, picture(number, vlm.resolution), asked, options["decoded"])
        for name in ("vision", "prefill", "first_token"):
            samples[name].append(getattr(stats, name))
        if len(times) > 1:  # trained models may say less than they are asked for
            samples["first_decode"].append(times[1] - times[0])
            samples["tokens_per_second"].append(stats.tokens_per_second)
        facts |= {
            "fed_tokens": stats.prompt_tokens - stats.cached_tokens,
            "known_tokens": stats.cached_tokens,
            "image_tokens": stats.image_tokens,
        }
    facts |= {"answered_bytes": resident(), "peak_bytes": peak_memory()}
    fed, known = facts["fed_tokens"], facts["known_tokens"]
    facts |= costs(vlm.spec, str(options["model"]), vlm.resolution, fed, known)
    return facts | {"precision": vlm.precision, "side": vlm.resolution, "samples": samples}


def second(options: Options) -> dict[str, Any]:
    """A picture's first question and another one about it."""
    vlm, facts = _load(options)
    asked = _settle(vlm, options["text_tokens"])
    samples: Points = {"first_question": [], "second_question": []}
    for number in range(options["runs"]):
        started = time.perf_counter()
        seen = vlm.encode(picture(number, vlm.resolution))
        looked = time.perf_counter() - started
        stats, _ = _reply(vlm, seen, asked, 2)
        samples["first_question"].append(looked + stats.first_token)
        stats, _ = _reply(vlm, seen, asked[::-1], 2)
        samples["second_question"].append(stats.first_token)
    return facts | {"samples": samples}


def curve(options: Options) -> dict[str, Any]:
    """One cost against one size: {"points": {size: seconds, ...}}."""
    measure = _CURVES[options["along"]]
    points: Points = {}
    for size, seconds in measure(options):
        points.setdefault(f"{size:g}", []).append(seconds)
    return {"points": points}


Measured = list[tuple[float, float]]


def _resolution(options: Options) -> Measured:
    vlm, _ = _load(options)
    found: Measured = []
    for side in options["sizes"]:
        for number in range(options["runs"] + 1):
            seconds = vlm.encode(picture(number, side), resolution=side).seconds
            found += [(side, seconds)] * (number > 0)  # the first of a size warms up
    return found


def _prompt(options: Options) -> Measured:
    """Tokens that are fed, against prefill.

    Few are fed behind a known picture, many with it from nothing, as that is quicker.
    """
    vlm, _ = _load(options)
    seen = vlm.encode(picture(0, 256), resolution=256)
    found: Measured = []
    for size in options["sizes"]:
        asked = question(vlm, size)
        for number in range(SETTLING + options["runs"]):
            stats, _ = _reply(vlm, seen, f"{number} {asked}", 1)
            if number >= SETTLING:
                found.append((stats.prompt_tokens - stats.cached_tokens, stats.prefill))
    return found


def _answer(options: Options) -> Measured:
    """Tokens of an answer, against the seconds behind the first."""
    vlm, _ = _load(options)
    asked, longest = question(vlm, options["text_tokens"]), max(options["sizes"])
    _reply(vlm, picture(0, vlm.resolution), asked, 4)
    found: Measured = []
    for number in range(options["runs"]):
        _, times = _reply(vlm, picture(number + 1, vlm.resolution), asked, longest)
        reached = [size for size in options["sizes"] if size <= len(times)]
        found += [(size, times[size - 1] - times[0]) for size in reached]
    return found


def _requests(options: Options) -> Measured:
    """Questions asked at the same time, each with a picture of its own, against all replies."""
    vlm, _ = _load(options)
    asked = question(vlm, options["text_tokens"])
    _reply(vlm, picture(0, vlm.resolution), asked, 4)

    def at_once(count: int, turn: int) -> float:
        first = 1_000_000 * count + 1000 * turn  # a picture seen before is known already
        given = [picture(first + index, vlm.resolution) for index in range(count)]
        workers = [
            threading.Thread(target=_reply, args=(vlm, one, asked, options["decoded"]))
            for one in given
        ]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - started

    return [(n, at_once(n, turn)) for n in options["sizes"] for turn in range(options["runs"])]


def _threads(options: Options) -> Measured:
    found: Measured = []
    for count in options["sizes"]:
        vlm, _ = _load(options, threads=count)
        asked = _settle(vlm, options["text_tokens"])
        for number in range(options["runs"]):
            stats, _ = _reply(vlm, picture(number, vlm.resolution), asked, 1)
            found.append((count, stats.first_token))
    return found


_CURVES: dict[str, Callable[[Options], Measured]] = {
    "resolution": _resolution,
    "prompt": _prompt,
    "answer": _answer,
    "requests": _requests,
    "threads": _threads,
}


def start(options: Options) -> dict[str, Any]:
    """`galago describe` from the start of the process to the first token.

    cold: the model's files are asked out of the page cache, and no compiled graph is kept from
    before; warm: the same command again.
    """
    samples: Points = {"cold": [], "cold_first_token": [], "warm": [], "warm_first_token": []}
    with tempfile.TemporaryDirectory() as scratch:
        file = save("small", Path(scratch), 0) and next(Path(scratch).rglob("*.jpg"))
        for turn in range(options["runs"]):
            home = Path(scratch) / f"cache-{turn}"
            _forget(str(options["model"]))
            for kind in ("cold", "warm"):
                seconds, record = _described([str(file)], options, home, 1)
                samples[kind].append(seconds)
                samples[f"{kind}_first_token"].append(record["time_to_first_token"])
    return {"samples": samples}


def describe(options: Options) -> dict[str, Any]:
    """`galago describe` over photos of 12 megapixels, from start to end, by their count."""
    photos = Path(options["cache"]) / "photos"
    most = max(options["sizes"])
    for number in range(most):
        save("large", photos, number)
    files = [str(path) for path in sorted(photos.rglob("*.jpg"))[:most]]
    points: Points = {}
    home = Path(options["cache"]) / "home"
    _described(files[:1], options, home, options["decoded"])
    for count in options["sizes"]:
        for _ in range(options["runs"]):
            seconds, _ = _described(files[:count], options, home, options["decoded"])
            points.setdefault(f"{count:g}", []).append(seconds)
    return {"points": points}


def _described(
    files: Sequence[str], options: Options, home: Path, tokens: int
) -> tuple[float, dict[str, Any]]:
    """Seconds of one `galago describe`, and the last record that it printed."""
    command = [sys.executable, "-m", "galago", "describe", *files, "-m", str(options["model"])]
    command += ["--json", "--offline", "--max-tokens", str(tokens), "--prompt", "What is here?"]
    command += ["--threads", str(options["threads"])]
    command += ["--precision", options.get("precision", "auto")]
    for name in ("device", "vision_device"):
        if options.get(name):
            command += [f"--{name.replace('_', '-')}", options[name]]
    if options.get("resolution"):
        command += ["--resolution", str(options["resolution"])]
    environment = os.environ | {"GALAGO_CACHE": str(home)}
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise GalagoError(f"galago describe failed: {done.stderr.strip()[-300:]}")
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seconds, record


def _forget(model: str) -> None:
    """Ask the system to drop a model's files from its page cache; it may keep what is in use."""
    found = local(model)
    if found is None or not hasattr(os, "posix_fadvise"):
        return
    for path in found.folder.glob("*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())  # what is not on the disk yet stays
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
