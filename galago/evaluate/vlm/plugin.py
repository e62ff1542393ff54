"""galago as a model of lmms-eval, in its own process: no server, several replies decoded together,
each picture looked at once.

What reaches the model is what its OpenAI client would send to `galago serve`: the pictures of a
message before its text, greedily, 1,024 tokens where a task says nothing. Like that client it
leaves `until` alone: a FastVLM ends its answers itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from lmms_eval.api.model import lmms
from lmms_eval.protocol import ChatMessages
from PIL import Image
from tqdm import tqdm

from galago.errors import ImageError, OptionError
from galago.evaluate.vlm.harness import FAILED
from galago.evaluate.vlm.seen import Seen
from galago.specs import Side
from galago.text.chat import Message, user_message
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

__all__ = ["Galago"]

_TOKENS = 1024


class Galago(lmms):
    """`--model galago --model_args model=NAME,precision=…,resolution=…,threads=…,parallel=…`.

    And `runs_on`, `vision_on`: devices, as `device` is lmms-eval's own; + for the commas of a list.

    The model is opened when the first question comes: what is answered from before needs none.
    """

    is_simple = False

    def __init__(
        self,
        model: str = "",
        precision: str = "auto",
        resolution: int | str | None = None,
        threads: int | None = None,
        parallel: int = 4,
        runs_on: str = "",
        vision_on: str = "",
        **_: Any,
    ) -> None:
        """Without a name the model is that of GALAGO_MODEL, else the best that is here.  `parallel`
        replies are decoded together; further arguments are lmms-eval's own (batch_size, device)."""
        super().__init__()
        self._named = (str(model), precision, resolution, threads)
        self._devices = [name.replace("+", ",") or None for name in (runs_on, vision_on)]
        self._parallel = max(1, int(parallel))
        self._vlm: FastVLM | None = None
        self._seen: Seen | None = None
        self._opening = threading.Lock()

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """A reply to each request, in their order."""
        with (
            ThreadPoolExecutor(self._parallel) as threads,
            tqdm(total=len(requests), desc="Model Responding") as bar,
        ):
            said = []
            for text in threads.map(self._reply, requests):
                said.append(text)
                bar.update(1)
        return said

    def _reply(self, request: Any) -> str:
        _, to_messages, settings, number, task, split = request.args
        told = ChatMessages(messages=to_messages(self.task_dict[task][split][number]))
        vlm, seen = self._opened()
        try:
            images = [seen.encode(_plain(image)) for image in told.extract_media()[0]]
            chunks = vlm.reply(_messages(told), images, _options(settings))
            return "".join(chunk.text for chunk in chunks)
        except (ImageError, OptionError) as error:
            return f"{FAILED} after 1 retries] {error}"

    def _opened(self) -> tuple[FastVLM, Seen]:
        with self._opening:
            if self._vlm is None or self._seen is None:
                name, precision, resolution, threads = self._named
                side: Side | None = None if resolution in (None, "") else resolution  # type: ignore[assignment]
                vlm = FastVLM.load(
                    name or None,
                    precision=precision,
                    resolution=side,
                    threads=threads,
                    device=self._devices[0],
                    vision_device=self._devices[1],
                )
                vlm.keep_caches(max(2, self._parallel))
                self._vlm, self._seen = vlm, Seen(vlm.encode)
            return self._vlm, self._seen

    def loglikelihood(self, requests: Sequence[Any]) -> NoReturn:
        raise OptionError("galago answers in words: tasks that compare likelihoods can't be asked")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> NoReturn:
        raise OptionError("galago is asked once a question: tasks of several rounds can't be asked")


def _plain(image: Image.Image) -> Image.Image:
    """The pixels and their colour profile, which is what a PNG of it holds."""
    plain = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    if profile := image.info.get("icc_profile"):
        plain.info["icc_profile"] = profile
    return plain


def _messages(told: ChatMessages) -> list[Message]:
    """As galago's server understands them."""
    found: list[Message] = []
    pictures = 0
    for message in told.messages:
        text = "\n".join(part.text for part in message.content if part.type == "text")
        if message.role != "user":
            found.append(Message(message.role, (text,)))
            continue
        own = sum(part.type == "image" for part in message.content)
        found.append(user_message(text, own, pictures))
        pictures += own
    return found


def _options(settings: Mapping[str, Any]) -> SamplingOptions:
    return SamplingOptions(
        temperature=float(settings.get("temperature") or 0.0),
        top_p=float(settings.get("top_p") or 1.0),
        seed=settings.get("seed"),
        max_tokens=int(settings.get("max_new_tokens", _TOKENS)),
    )
