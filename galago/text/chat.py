"""The chat template: turns of text and pictures -> ids and the places of pictures between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Union

from galago.errors import CheckpointError
from galago.specs import PromptSpec
from galago.text.tokens import Tokenizer

IM_START, IM_END = "<|im_start|>", "<|im_end|>"


@dataclass(frozen=True)
class ImageSlot:
    """Where the features of picture number `index` go."""

    index: int = 0


@dataclass(frozen=True)
class Message:
    """One turn: role "system", "user" or "assistant", and its text and pictures in order."""

    role: str
    content: tuple[str | ImageSlot, ...]


@dataclass(frozen=True)
class _Control:
    token: str


Piece = Union["list[int]", ImageSlot]
_Part = Union[str, ImageSlot, _Control]  # noqa: UP007, as Piece above


def chat_pieces(
    tokenizer: Tokenizer,
    messages: Iterable[Message],
    prompt: PromptSpec,
    *,
    continued: bool = False,
) -> list[Piece]:
    """Ids and image slots of a chat in Qwen2's template (ChatML), ready for the reply.

    What stands between two pictures is tokenised on its own, as llava does; a "<image>" that
    somebody typed is text like any other.  An assistant's message at the end is left open, so that
    a reply can be continued or scored.  A first message of the role "system" takes the place of the
    template's own.  `continued` leaves out the beginning and closes the reply before it, for the
    next turn of a conversation.
    """
    messages = list(messages)
    told = bool(messages) and messages[0].role == "system"
    parts: list[_Part] = []
    if continued:
        parts += [_Control(IM_END), "\n"]
    elif prompt.system and not told:
        parts += [_Control(IM_START), f"system\n{prompt.system}", _Control(IM_END), "\n"]
    role = ""
    for message in messages:
        if role == "assistant":
            parts += [_Control(IM_END), "\n"]
        role = message.role
        parts += [_Control(IM_START), f"{role}\n", *message.content]
        if role != "assistant":
            parts += [_Control(IM_END), "\n"]
    if role != "assistant":
        parts += [_Control(IM_START), "assistant\n"]
    return _tokenise(tokenizer, parts)


def _tokenise(tokenizer: Tokenizer, parts: Iterable[_Part]) -> list[Piece]:
    """Neighbouring texts are one text; controls are ids; slots stay."""
    pieces: list[Piece] = []
    ids: list[int] = []
    text = ""
    for part in [*parts, None]:
        if isinstance(part, str):
            text += part
            continue
        if text:
            ids += tokenizer.encode(text)
            text = ""
        if isinstance(part, _Control):
            ids.append(_control_id(tokenizer, part.token))
            continue
        if ids:
            pieces.append(ids)
            ids = []
        if part is not None:
            pieces.append(part)
    return pieces


def _control_id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_id(token)
    if found is None:
        raise CheckpointError(f"the tokenizer lacks {token}, which the chat template needs")
    return found


def user_message(text: str, pictures: int, first: int = 0) -> Message:
    """n pictures from number `first` on, each on a line, then the text: "<image>\\n{text}"."""
    content: list[str | ImageSlot] = []
    for index in range(first, first + pictures):
        content += [ImageSlot(index), "\n"]
    return Message("user", (*content, text))
