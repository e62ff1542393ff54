"""Pictures are looked at once, by whoever comes first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from galago.errors import ImageError
from galago.evaluate.vlm.seen import Seen
from galago.vlm.reply import EncodedImage


def encoded(image: Image.Image) -> EncodedImage:
    features = np.full((4, 8), image.getpixel((0, 0))[0], np.float32)  # type: ignore[index]
    return EncodedImage(features, image.size, 64, 0.0, "fake", "fake")


def painted(red: int) -> Image.Image:
    return Image.new("RGB", (8, 6), (red, 0, 0))


def test_each_picture_once_whatever_object_it_is() -> None:
    seen = Seen(encoded)
    first = seen.encode(painted(1))
    assert seen.encode(painted(1)) is first and seen.encode(painted(2)) != first
    profiled = painted(1)
    profiled.info["icc_profile"] = b"another colour"
    seen.encode(profiled)
    assert seen.looked == 3


def test_the_longest_unused_are_forgotten() -> None:
    each = encoded(painted(0)).features.nbytes
    seen = Seen(encoded, most=2 * each)
    for red in (1, 2, 1, 3):
        seen.encode(painted(red))
    assert seen.looked == 3
    seen.encode(painted(1))
    assert seen.looked == 3
    seen.encode(painted(2))
    assert seen.looked == 4


def test_threads_wait_for_the_one_that_looks() -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly(image: Image.Image) -> EncodedImage:
        begun.set()
        assert go.wait(30)
        return encoded(image)

    seen = Seen(slowly)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(seen.encode, painted(1)) for _ in range(3)]
        assert begun.wait(30)
        go.set()
        assert len({id(one.result(30)) for one in waiting}) == 1
    assert seen.looked == 1


def test_what_fails_may_succeed_another_time() -> None:
    tries: list[int] = []

    def once_damaged(image: Image.Image) -> EncodedImage:
        tries.append(1)
        if len(tries) == 1:
            raise ImageError("damaged")
        return encoded(image)

    seen = Seen(once_damaged)
    with pytest.raises(ImageError):
        seen.encode(painted(1))
    assert seen.encode(painted(1)).size == (8, 6) and len(tries) == 2
