"""galago as a model of lmms-eval, asked without lmms-eval's evaluator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest
from PIL import Image

from galago.errors import OptionError
from galago.evaluate.vlm.harness import FAILED
from galago.text.chat import ImageSlot, Message
from galago.vlm.reply import Chunk, EncodedImage
from galago.vlm.sampling import SamplingOptions

pytest.importorskip("lmms_eval", reason="lmms-eval's own classes: make evaluate")
plugin = pytest.importorskip("galago.evaluate.vlm.plugin")


class FakeVLM:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.looked = 0
        self.asked: list[tuple[Sequence[Message], SamplingOptions]] = []

    def keep_caches(self, count: int) -> None:
        pass

    def encode(self, image: Image.Image) -> EncodedImage:
        self.looked += 1
        assert image.mode == "RGB" and "exif" not in image.info
        return EncodedImage(np.ones((2, 4), np.float32), image.size, 64, 0.0, "fake", "fake")

    def reply(
        self, messages: Sequence[Message], images: Sequence[EncodedImage], options: SamplingOptions
    ) -> Iterator[Chunk]:
        self.asked.append((messages, options))
        text = str(messages[-1].content[-1])
        if text == "too long":
            raise OptionError("the question is too long")
        yield Chunk(f" {text}")
        yield Chunk("!")


@dataclass
class Request:
    args: tuple[Any, ...]


def request(number: int, **settings: Any) -> Request:
    return Request(("text", lambda doc: doc, settings, number, "task", "test"))


def message(*parts: str | Image.Image) -> list[dict[str, Any]]:
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "url": part}
        for part in parts
    ]
    return [{"role": "user", "content": content}]


@pytest.fixture
def vlm(monkeypatch: pytest.MonkeyPatch) -> FakeVLM:
    fake = FakeVLM()
    monkeypatch.setattr(plugin.FastVLM, "load", lambda *_, **__: fake)
    return fake


def model(docs: Sequence[Any]) -> Any:
    made = plugin.Galago(model="any", parallel=3, batch_size=1, device="cpu")
    made.task_dict["task"] = {"test": docs}
    return made


def test_lmms_eval_finds_it() -> None:
    (found,) = [one for one in entry_points(group="lmms_eval.models") if one.name == "galago"]
    manifest = found.load()()
    assert manifest.model_id == "galago"
    assert manifest.chat_class_path == f"{plugin.__name__}.Galago"


def test_replies_in_order_and_each_picture_once(vlm: FakeVLM) -> None:
    photo = Image.new("RGB", (8, 6), (1, 2, 3))
    photo.info["exif"] = b"turned, perhaps"
    docs = [message(photo.copy(), f"question {at}") for at in range(9)]
    said = model(docs).generate_until([request(at) for at in range(9)])
    assert said == [f" question {at}!" for at in range(9)]
    assert vlm.looked == 1


def test_pictures_stand_before_the_texts(vlm: FakeVLM) -> None:
    first, second = Image.new("RGB", (8, 6)), Image.new("L", (8, 6), 9)
    model([message("Look at", first, "and", second, "now")]).generate_until([request(0)])
    ((messages, options),) = vlm.asked
    content = (ImageSlot(0), "\n", ImageSlot(1), "\n", "Look at\nand\nnow")
    assert [*messages] == [Message("user", content)]
    assert (options.max_tokens, options.temperature) == (1024, 0.0)


def test_what_a_task_says_of_answers_is_heeded(vlm: FakeVLM) -> None:
    asked = request(0, max_new_tokens=16, temperature=0.5, top_p=0.9, until=["\n\n"], num_beams=1)
    model([message("what?")]).generate_until([asked])
    options = vlm.asked[0][1]
    assert (options.max_tokens, options.temperature, options.top_p) == (16, 0.5, 0.9)
    assert options.stop == ()


def test_what_can_not_be_asked_is_marked_and_the_rest_goes_on(vlm: FakeVLM) -> None:
    docs = [message("too long"), message("short")]
    said = model(docs).generate_until([request(0), request(1)])
    assert said[0].startswith(FAILED) and "the question is too long" in said[0]
    assert said[1] == " short!"


def test_it_is_opened_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(plugin.FastVLM, "load", load)
    assert model([]).generate_until([]) == []
    with pytest.raises(OptionError, match="likelihoods"):
        model([]).loglikelihood([])


def test_devices_are_its_own_and_not_those_of_lmms_eval(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def load(*_: Any, **named: Any) -> FakeVLM:
        given.append({name: named[name] for name in ("device", "vision_device")})
        return FakeVLM()

    monkeypatch.setattr(plugin.FastVLM, "load", load)
    for more in ({}, {"runs_on": "HETERO:GPU+CPU", "vision_on": "NPU"}):
        made = plugin.Galago(model="any", device="cpu", **more)
        made.task_dict["task"] = {"test": [message("what?")]}
        made.generate_until([request(0)])
    assert given == [
        {"device": None, "vision_device": None},
        {"device": "HETERO:GPU,CPU", "vision_device": "NPU"},
    ]
