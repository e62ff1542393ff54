"""A plug-in for the `llm` command: `llm -m galago "read this" -a note.jpg`.

Found by its entry point wherever both are installed; the model runs in llm's own process.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import llm
from pydantic import Field

from galago.errors import GalagoError
from galago.text.chat import Message, user_message
from galago.text.presets import PRESETS
from galago.text.visible import brief, visible
from galago.vlm.fastvlm import FastVLM
from galago.vlm.reply import EncodedImage, why_cut
from galago.vlm.sampling import SamplingOptions

__all__ = ["Galago", "register_models"]

_Turn = tuple[str, str, list[Any]]  # a role, its words, llm's attachments
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed")
_HINTS = {
    "length": "-o max_tokens N gives it more",
    "repetition": "-o repetition_penalty 1.1 may help",
}
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
        model: str = Field("", description="A FastVLM of `galago models`, or a folder")
        temperature: float = Field(0.0, description="0 takes the likeliest token", ge=0, le=2)
        top_p: float = Field(1.0, description="Draw among the likeliest", gt=0, le=1)
        top_k: int = Field(0, description="Draw among the k likeliest; 0: among all", ge=0)
        min_p: float = Field(0.0, description="Draw among those p times as likely", ge=0, le=1)
        repetition_penalty: float = Field(1.0, description="Above 1: repeat less", ge=0.1, le=10)
        max_tokens: int = Field(256, description="At most so many tokens", ge=1)
        seed: int | None = Field(None, description="Makes a drawn answer repeatable", ge=0)

    def __init__(self) -> None:
        self._loaded: dict[str, FastVLM] = {}

    def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any = None
    ) -> Iterator[str]:
        """The reply, piece by piece; llm.ModelError for what galago refuses.

        An answer that isn't whole is warned about, and llm's log says why (`finish`).
        """
        asked = prompt.options
        try:
            vlm = self._vlm(asked.model)
            messages, images = _conversation(vlm, prompt, conversation)
            options = SamplingOptions(**{name: getattr(asked, name) for name in _SAMPLING})
            for chunk in vlm.reply(messages, images, options):
                if chunk.text:
                    yield visible(chunk.text, lines=True)  # llm prints it as it is
                if chunk.stats is not None:
                    response.set_usage(input=chunk.stats.prompt_tokens, output=chunk.stats.tokens)
                    response.response_json = {"finish": chunk.finish}
                    cut = why_cut(chunk.finish, chunk.stats.tokens)
                    if cut is not None and chunk.finish is not None:
                        warnings.warn(f"galago: {cut}; {_HINTS[chunk.finish]}", stacklevel=2)
        except GalagoError as error:
            raise llm.ModelError(visible(brief(str(error)))) from None

    def _vlm(self, name: str) -> FastVLM:
        if name not in self._loaded:
            self._loaded[name] = FastVLM.load(name or None)
        return self._loaded[name]


def _conversation(
    vlm: FastVLM, prompt: Any, conversation: Any
) -> tuple[list[Message], list[EncodedImage]]:
    """What was said so far and what is asked now."""
    before = conversation.responses if conversation else []
    turns = _told_whole(prompt.messages) if getattr(prompt, "messages", None) else None
    turns = turns or _told_apart(before, prompt)
    # llm gives the system's words with the first question only; they hold until there are others.
    told = [text for role, text, _ in turns if role == "system"]
    told += [one.system for one in (*(response.prompt for response in before), prompt)]
    told = [text for text in told if text]
    messages = [Message("system", (told[-1],))] if told else []
    images: list[EncodedImage] = []
    for role, text, attachments in turns:
        if role == "user":
            first = len(images)
            images += [vlm.encode(one.content_bytes()) for one in attachments]
            text = text.strip() or PRESETS["describe"]
            messages.append(user_message(text, len(images) - first, first))
        elif role == "assistant":
            messages.append(Message("assistant", (text,)))
    return messages, images


def _told_whole(messages: Any) -> list[_Turn]:
    """The turns of llm's own chain, which a loaded conversation and `reply()` have alone."""
    from llm.parts import AttachmentPart, TextPart

    turns = []
    # `reply()` puts its words and its pictures into two messages.
    for role, group in groupby(messages, key=lambda message: message.role):
        parts = [part for message in group for part in message.parts]
        texts = [part.text for part in parts if isinstance(part, TextPart)]
        pictures = [part.attachment for part in parts if isinstance(part, AttachmentPart)]
        turns.append((role, "\n".join(texts), pictures))
    return turns


def _told_apart(before: Any, prompt: Any) -> list[_Turn]:
    """The same of an older llm, whose prompt holds the question alone."""
    turns: list[_Turn] = []
    for response in before:
        turns.append(("user", response.prompt.prompt or "", response.prompt.attachments))
        turns.append(("assistant", response.text(), []))
    return [*turns, ("user", prompt.prompt or "", prompt.attachments)]
