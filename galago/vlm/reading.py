"""What is written in a picture, to be searched: a model's answer, or nothing where it is none."""

from __future__ import annotations

import re

from galago.media.images import Source
from galago.text.presets import preset_prompt
from galago.vlm.fastvlm import FastVLM
from galago.vlm.reply import EncodedImage, Prepared
from galago.vlm.sampling import SamplingOptions

__all__ = ["TextReader", "words_of"]

_OPTIONS = SamplingOptions(max_tokens=512)  # a dense page; what is longer is kept as far as it came
_TEXT = r"(?:\w+[ ])?(?:text|texts|writing|words?|letters?|characters?|lettering|inscriptions?)"
_PICTURE = r"(?:image|picture|photo|photograph|scene)"
# How models say that there is nothing to read. The whole answer must say so: what stands on a sign
# may begin like it.
_NONE = re.compile(
    rf"""(?:
        (?:there\ (?:is|are)|i\ (?:can|could)\ see|i\ see)\ (?:no|not\ any)\ {_TEXT}.*
      | there\ (?:is\ not|are\ not|isn't|aren't)\ any\ {_TEXT}.*
      | there\ is\ nothing\ (?:written|to\ read).*
      | (?:the|this)\ {_PICTURE}\ (?:does\ not|doesn't|do\ not)\ (?:appear\ to\ )?
        (?:contain|have|show|include|display)\ (?:any\ )?{_TEXT}.*
      | (?:the|this)\ {_PICTURE}\ (?:contains|has|shows|includes|displays)\ no\ {_TEXT}.*
      | no\ {_TEXT}
      | no\ {_TEXT}\ (?:is|are|was|were|could\ be|can\ be|in|on|visible|present|found|detected)\b.*
      | none | nothing | n/?a | no\ text | empty | blank
      | (?:i'?m\ sorry|sorry|i\ (?:cannot|can't|can\ not|am\ unable\ to))\b.*
    )[.!]?""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_NONE = 160  # letters; what is longer says more than that
# What a model puts before the text although it was asked for nothing else.
_BEFORE = re.compile(
    rf"(?:the )?{_TEXT} (?:(?:written )?(?:in|on) (?:the|this) \w+ )?(?:reads|says|is|are): *",
    re.IGNORECASE,
)


class TextReader:
    """Reads one picture after the other; `prepare` is for several threads, `read` for one."""

    def __init__(self, model: FastVLM) -> None:
        self._model = model
        self._prompt = preset_prompt("read")

    @property
    def name(self) -> str:
        """The model that reads."""
        return self._model.name

    def prepare(self, picture: Source) -> Prepared:
        """A picture, opened; raises ImageError."""
        return self._model.prepare(picture)

    def read(self, picture: Prepared | EncodedImage) -> str:
        """What is written in it; '' when nothing is, or what was said of it can't be relied on."""
        image = self._model.encode(picture)
        chunks = list(self._model.stream(image, self._prompt, _OPTIONS))
        last = chunks[-1]
        if last.stats is None or last.finish == "repetition" or last.stats.doubted:
            return ""
        return words_of("".join(chunk.text for chunk in chunks))


def words_of(answer: str) -> str:
    """The text in an answer to the question `read`; '' for one that says there is none."""
    text = answer.strip()
    plain = " ".join(text.replace("’", "'").strip("\"'()[]").split())
    if len(plain) <= _LONGEST_NONE and _NONE.fullmatch(plain):
        return ""
    return text[found.end() :].strip() if (found := _BEFORE.match(text)) else text
