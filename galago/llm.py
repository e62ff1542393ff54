"""A plug-in for the `llm` command: `llm -m galago "read this" -a note.jpg`.

Found by its entry point wherever both are installed; the model runs in llm's own process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import llm
from pydantic import Field

from galago import catalog
from galago.errors import GalagoError
from galago.fastvlm import FastVLM
from galago.presets import PRESETS
from galago.reply import EncodedImage, user_message
from galago.sampling import SamplingOptions
from galago.tokens import Message

__all__ = ["Galago", "register_models"]

_KINDS = ("avif", "bmp", "gif", "heic", "heif", "jpeg", "png", "tiff", "webp")


@llm.hookimpl
def register_models(register: Any) -> None:
    register(Galago())


class Galago(llm.Model):
    """FastVLM; pictures stand before the question they come with, and are remembered."""

    model_id = "galago"
    can_stream = True
    attachment_types = frozenset(f"image/{kind}" for kind in _KINDS)

    class Options(llm.Options):
        model: str = Field(catalog.DEFAULT, description="A FastVLM of `galago models`, or a folder")
        temperature: float = Field(0.0, description="0 takes the likeliest token", ge=0, le=2)
        top_p: float = Field(1.0, description="Draw among the likeliest", gt=0, le=1)
        max_tokens: int = Field(256, description="At most so many tokens", ge=1)
        seed: int | None = Field(None, description="Makes a drawn answer repeatable", ge=0)

    def __init__(self) -> None:
        self._loaded: dict[str, FastVLM] = {}

    def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any = None
    ) -> Iterator[str]:
        """The reply, piece by piece; llm.ModelError for what galago refuses."""
        asked = prompt.options
        try:
            vlm = self._vlm(asked.model)
            messages, images = _conversation(vlm, prompt, conversation)
            options = SamplingOptions(
                asked.temperature, asked.top_p, asked.seed, max_tokens=asked.max_tokens
            )
            for chunk in vlm.reply(messages, images, options):
                if chunk.text:
                    yield chunk.text
                if chunk.stats is not None:
                    response.set_usage(input=chunk.stats.prompt_tokens, output=chunk.stats.tokens)
        except GalagoError as error:
            raise llm.ModelError(str(error)) from None

    def _vlm(self, name: str) -> FastVLM:
        if name not in self._loaded:
            self._loaded[name] = FastVLM.load(name)
        return self._loaded[name]


def _conversation(
    vlm: FastVLM, prompt: Any, conversation: Any
) -> tuple[list[Message], list[EncodedImage]]:
    """What was said so far and what is asked now."""
    images: list[EncodedImage] = []
    said = [(one.prompt, one.text()) for one in (conversation.responses if conversation else ())]
    # llm gives the system's words with the first question only; they hold until there are others.
    told = [asked.system for asked in (*(asked for asked, _ in said), prompt) if asked.system]
    messages = [Message("system", (told[-1],))] if told else []
    for asked, reply in [*said, (prompt, None)]:
        first = len(images)
        images += [vlm.encode(one.content_bytes()) for one in asked.attachments]
        text = (asked.prompt or "").strip() or PRESETS["describe"]
        messages.append(user_message(text, len(images) - first, first))
        if reply is not None:
            messages.append(Message("assistant", (reply,)))
    return messages, images
