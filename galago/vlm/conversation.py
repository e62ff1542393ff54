"""A conversation: questions about the same pictures, each knowing what was said before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from galago.errors import OptionError
from galago.text.chat import Piece, user_message
from galago.vlm.reply import Chunk, EncodedImage, check_prompt, prompt_keys
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
        self._turns: list[tuple[str, list[int]]] = []  # a question, and the ids of its reply
        self._busy = False
        self.messages: list[tuple[str, str]] = []  # ("user" or "assistant", text)

    def say(self, text: str, options: SamplingOptions | None = None) -> Iterator[Chunk]:
        """The reply to the next question, as `FastVLM.stream` gives it.

        Raises OptionError for an empty question, one that doesn't fit behind what was said before
        (see `shorten`), or while another reply is still coming.
        """
        check_prompt(text)
        self._speaker.check_text(text)
        self._speaker.check_length(self._length(text))
        return self._say(text, options or self._options)

    def ask(self, text: str, options: SamplingOptions | None = None) -> str:
        """The whole reply to the next question."""
        return "".join(chunk.text for chunk in self.say(text, options))

    def shorten(self, text: str, options: SamplingOptions | None = None) -> int:
        """Forget the oldest turns if the next question and its reply don't fit; how many were.

        Pictures are what the conversation is about: they stay.  As what stays must be read anew,
        a quarter of the positions is freed at once.
        """
        room = self._speaker.positions
        wanted = min((options or self._options).max_tokens, room // 4)
        forgotten = 0
        if self._turns and self._length(text) + wanted > room:
            while self._turns and self._length(text) + wanted > room * 3 // 4:
                del self._turns[0]
                forgotten += 1
        return forgotten

    def _length(self, text: str) -> int:
        return len(prompt_keys(self._asked(text), self._images))

    def _say(self, text: str, options: SamplingOptions) -> Iterator[Chunk]:
        if self._busy:
            raise OptionError("the last reply is still coming: read it to its end, or close it")
        self._busy = True
        ids: list[int] = []
        said: list[str] = []
        finish: str | None = None
        try:
            for chunk in self._speaker.reply(self._asked(text), self._images, options):
                if chunk.token_id is not None:
                    ids.append(chunk.token_id)
                said.append(chunk.text)
                finish = chunk.finish
                yield chunk
            self._remember(text, ids, said, finish)
        except (GeneratorExit, KeyboardInterrupt):  # what was shown is what was said
            self._remember(text, ids, said, finish)
            raise
        finally:
            self._busy = False

    def _asked(self, text: str) -> list[Piece]:
        """All that was said, and the question; the pictures stand before the first."""
        pieces: list[Piece] = []
        for question, reply in [*self._turns, (text, [])]:
            message = user_message(question, 0 if pieces else len(self._images))
            pieces += self._speaker.pieces([message], continued=bool(pieces))
            pieces += [reply] if reply else []
        return pieces

    def _remember(self, text: str, ids: list[int], said: list[str], finish: str | None) -> None:
        reply = "".join(said)
        # What was cut off, a stop string or a repetition, was never shown, so it wasn't said.
        cut = finish in ("stop", "repetition")
        self._turns.append((text, self._speaker.tokenizer.encode(reply) if cut else ids))
        self.messages += [("user", text), ("assistant", reply)]
