"""A conversation: questions about the same pictures, each knowing what was said before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from galago.errors import OptionError
from galago.text.chat import Piece, user_message
from galago.vlm.reply import Chunk, EncodedImage, check_prompt
from galago.vlm.sampling import SamplingOptions
from galago.vlm.speaker import Speaker

__all__ = ["Conversation"]


class Conversation:
    """Questions about the same pictures, each knowing what was said before.

    One question at a time; a reply that is closed early is remembered as far as it came.
    """

    def __init__(
        self, speaker: Speaker, images: Sequence[EncodedImage], options: SamplingOptions
    ) -> None:
        """Of pictures encoded by the same model; `FastVLM.chat` is the usual way."""
        self._speaker = speaker
        self._images = tuple(images)
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
            for chunk in self._speaker.reply(asked, self._images, options):
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
        message = user_message(text, 0 if self._pieces else len(self._images))
        return self._speaker.pieces([message], continued=bool(self._pieces))

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
        kept = self._speaker.tokenizer.encode(reply) if finish == "stop" else ids
        self._pieces = [*asked, kept] if kept else asked
        self.messages += [("user", text), ("assistant", reply)]
