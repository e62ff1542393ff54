"""A conversation: questions about the same pictures, each knowing what was said before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from galago.errors import OptionError
from galago.reply import Chunk, EncodedImage, check_prompt, user_message
from galago.sampling import SamplingOptions
from galago.tokens import Piece, chat_pieces

if TYPE_CHECKING:
    from galago.fastvlm import FastVLM

__all__ = ["Conversation"]


class Conversation:
    """Questions about the same pictures, each knowing what was said before.

    One question at a time; a reply that is closed early is remembered as far as it came.
    """

    def __init__(
        self, vlm: FastVLM, images: Sequence[EncodedImage], options: SamplingOptions
    ) -> None:
        self._vlm = vlm
        self._images = tuple(vlm.encode(image) for image in images)
        self._options = options
        self._pieces: list[Piece] = []
        self._busy = False
        self.messages: list[tuple[str, str]] = []  # ("user" or "assistant", text)

    def say(self, text: str, options: SamplingOptions | None = None) -> Iterator[Chunk]:
        """The reply to the next question, as `FastVLM.stream` gives it.

        Raises OptionError for an empty question, or while another reply is still coming.
        """
        check_prompt(text)
        return self._say(text, options or self._options)

    def ask(self, text: str, options: SamplingOptions | None = None) -> str:
        """The whole reply to the next question."""
        return "".join(chunk.text for chunk in self.say(text, options))

    def _say(self, text: str, options: SamplingOptions) -> Iterator[Chunk]:
        if self._busy:
            raise OptionError("the last reply is still coming: read it to its end, or close it")
        asked = self._pieces + self._next(text)
        self._busy = True
        ids: list[int] = []
        said: list[str] = []
        finish: str | None = None
        try:
            started = time.perf_counter()
            for chunk in self._vlm._reply(asked, self._images, options, started, 0.0):
                if chunk.token_id is not None:
                    ids.append(chunk.token_id)
                said.append(chunk.text)
                finish = chunk.finish
                yield chunk
            self._remember(text, asked, ids, said, finish)
        except (GeneratorExit, KeyboardInterrupt):  # what was shown is what was said
            self._remember(text, asked, ids, said, finish)
            raise
        finally:
            self._busy = False

    def _next(self, text: str) -> list[Piece]:
        vlm = self._vlm
        pictures = 0 if self._pieces else len(self._images)
        message = user_message(text, pictures)
        return chat_pieces(vlm.tokenizer, [message], vlm.spec.prompt, continued=bool(self._pieces))

    def _remember(
        self,
        text: str,
        asked: list[Piece],
        ids: list[int],
        said: list[str],
        finish: str | None,
    ) -> None:
        reply = "".join(said)
        # A stop string and what came with it were never shown, so they weren't said either.
        kept = self._vlm.tokenizer.encode(reply) if finish == "stop" else ids
        self._pieces = [*asked, kept] if kept else asked
        self.messages += [("user", text), ("assistant", reply)]
