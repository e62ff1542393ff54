"""A device that fails: its answer goes on with the CPU, and is the CPU's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.vlm import open_checkpoint
from galago.engine.batching import BatchedDecoder
from galago.engine.device import Device
from galago.engine.precision import PrecisionPlan
from galago.engine.standby import Standby, SteadyDecoder, SteadyVision
from galago.engine.vlm_sessions import LanguageSession, VisionSession
from galago.engine.vlm_weights import collect, embedding_item, language_items, vision_items
from tests.helpers.devices import FakeCore

PLAN = PrecisionPlan("fp32", "fp32")
PROMPT = [1, 7, 9, 4, 2]


@pytest.fixture(scope="module")
def weights(tiny: Path) -> tuple[dict, object]:  # type: ignore[type-arg]
    source = open_checkpoint(tiny)
    said = collect(language_items(source, PLAN)) | collect(iter([embedding_item(source)]))
    return {"said": said, "seen": collect(vision_items(source, "fp32"))}, source.spec


class Told(list[str]):
    """Lines, and the decoders that were made on the CPU."""

    made = 0


def decoder(weights, core: FakeCore | None, told: Told) -> SteadyDecoder:  # type: ignore[no-untyped-def]
    held, spec = weights

    def on_cpu() -> BatchedDecoder:
        told.made += 1
        return BatchedDecoder(LanguageSession(held["said"], spec, PLAN))

    standby = Standby("language", "GPU", on_cpu, told.append)
    if core is not None:
        device = Device("GPU", core)
        theirs = BatchedDecoder(LanguageSession(held["said"], spec, PLAN, device=device))
        standby.arrive(theirs, "language on GPU")
    return SteadyDecoder(standby)


def answer(language: SteadyDecoder, count: int = 6) -> np.ndarray:
    """Logits of a prompt and of likeliest tokens behind it, in order."""
    cache = language.new_cache()
    rows = [cache.append(language.embed(PROMPT))]
    for _ in range(count):
        rows.append(cache.append(language.embed([int(rows[-1].argmax())])))
    assert cache.length == len(PROMPT) + count
    cache.rest()
    return np.stack(rows)


@pytest.mark.parametrize("runs", [0, 1, 3])
def test_an_answer_goes_on_with_the_cpu(weights, runs: int) -> None:  # type: ignore[no-untyped-def]
    plain = answer(decoder(weights, None, Told()))
    told = Told()
    language = decoder(weights, FakeCore(runs=runs), told)
    assert told.made == 0
    assert np.allclose(answer(language), plain, atol=1e-4)
    assert np.allclose(answer(language), plain, atol=1e-4)
    assert told.made == 1 and len(told) == 1  # once and for all, in a line
    assert "GPU failed" in told[0] and "CL_OUT_OF_RESOURCES" in told[0]
    assert language.standby.story.refused and "on CPU" in language.standby.story.line


def test_what_is_no_number_is_a_failure(weights) -> None:  # type: ignore[no-untyped-def]
    told = Told()
    found = answer(decoder(weights, FakeCore(nan=True), told))
    assert np.allclose(found, answer(decoder(weights, None, Told())), atol=1e-4)
    assert "not a number" in told[0]


def test_a_cache_that_was_cut_back_moves_with_what_is_left(weights) -> None:  # type: ignore[no-untyped-def]
    plain, core = decoder(weights, None, Told()), FakeCore()
    frail = decoder(weights, core, Told())
    caches = [plain.new_cache(), frail.new_cache()]
    rows = []
    for cache, language in zip(caches, (plain, frail), strict=True):
        cache.append(language.embed(PROMPT))
        cache.append(language.embed([3]))
        cache.truncate(4)
        core.runs = 0
        rows.append(cache.append_all(language.embed([5, 6])))
        assert cache.length == 6
        cache.truncate(0)
        rows.append(cache.append(language.embed([8])))
    assert np.allclose(rows[0], rows[2], atol=1e-4) and np.allclose(rows[1], rows[3], atol=1e-4)


def test_a_device_that_becomes_ready_gets_the_next_prompt(weights) -> None:  # type: ignore[no-untyped-def]
    held, spec = weights
    core, told = FakeCore(), Told()
    language = decoder(weights, None, told)
    cache = language.new_cache()
    cache.append(language.embed(PROMPT))
    theirs = BatchedDecoder(LanguageSession(held["said"], spec, PLAN, device=Device("GPU", core)))
    core.runs = 0  # whoever asks it would hear of that
    language.standby.arrive(theirs, "language on GPU")
    cache.append(language.embed([3]))  # an answer that has begun stays where it is
    assert not told
    core.runs = None
    plain = decoder(weights, None, Told())
    other = plain.new_cache()
    other.append(plain.embed([*PROMPT, 3]))
    wanted = other.append(plain.embed([4, 5]))
    assert np.allclose(cache.append(language.embed([4, 5])), wanted, atol=1e-4)
    core.runs = 0
    cache.append(language.embed([6]))
    assert len(told) == 1  # so it was there


def test_what_the_cpu_cannot_do_is_raised(weights, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    language = decoder(weights, FakeCore(runs=0), Told())

    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr("galago.engine.vlm_sessions.KVCache.append", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        language.new_cache().append(language.embed(PROMPT))


def test_a_picture_is_looked_at_again_by_the_cpu(weights) -> None:  # type: ignore[no-untyped-def]
    held, spec = weights
    core, told = FakeCore(runs=1), Told()
    standby = Standby("vision", "GPU", lambda: VisionSession(held["seen"], spec, PLAN), told.append)
    device = Device("GPU", core)
    standby.arrive(VisionSession(held["seen"], spec, PLAN, device=device), "vision on GPU")
    vision = SteadyVision(standby)
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    first = vision.encode(pixels)
    assert not told
    assert np.allclose(vision.encode(pixels), first, atol=1e-4) and len(told) == 1
