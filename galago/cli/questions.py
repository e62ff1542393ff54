"""What is asked of every picture: the options that say it, and what is told about an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago import catalog
from galago.cli.options import doubt, unread
from galago.cli.terminal import say
from galago.errors import OptionError
from galago.memory import peak_memory
from galago.text.presets import PRESETS, preset_prompt
from galago.text.tongues import TONGUES

if TYPE_CHECKING:
    from galago.vlm.fastvlm import Chunk, EncodedImage, FastVLM, Stats
    from galago.vlm.sampling import SamplingOptions

__all__ = [
    "Answer",
    "Asked",
    "Question",
    "record_of",
    "say_unless_whole",
    "since_opened",
    "told",
    "why_not_whole",
]


def _complete_preset(incomplete: str) -> Iterator[str]:
    return (name for name in PRESETS if name.startswith(incomplete))


def _complete_language(incomplete: str) -> Iterator[str]:
    names = (name for one in TONGUES for name in (one.name, one.code, one.own))
    return (name for name in names if name.casefold().startswith(incomplete.casefold()))


Prompt = Annotated[str | None, typer.Option("--prompt", "-p", metavar="TEXT", help="Ask this.")]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(PRESETS),
        help="Ask a ready question; describe by default.",
        autocompletion=_complete_preset,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        metavar="LANGUAGE",
        help="For --preset translate: into what, by name, code or in its own words "
        "(German, de, Deutsch).",
        autocompletion=_complete_language,
    ),
]


@dataclass(frozen=True)
class Question:
    """What is asked of every picture, and how the answer is shown."""

    prompt: str
    preset: str | None
    options: SamplingOptions
    as_json: bool = False
    stats: bool = False
    page: int | None = None


@dataclass(frozen=True)
class Asked:
    """The question as it was typed."""

    prompt: Prompt = None
    preset: Preset = None
    to: Language = None

    def question(self, options: SamplingOptions, *, as_json: bool, stats: bool) -> Question:
        """OptionError when the options contradict each other."""
        words = _prompt(self.prompt, self.preset, self.to)
        preset = None if self.prompt else self.preset or "describe"
        return Question(words, preset, options, as_json, stats)


def _prompt(prompt: str | None, preset: str | None, to: str | None) -> str:
    """The question in words; OptionError when the options contradict each other."""
    if prompt is not None and preset is not None:
        raise OptionError("give --prompt or --preset, not both")
    if to is not None and preset != "translate":
        raise OptionError("--to LANGUAGE goes with --preset translate")
    if prompt is None:
        return preset_prompt(preset or "describe", **({"to": to} if to is not None else {}))
    if not prompt.strip():
        raise OptionError("--prompt is empty: ask something, or use --preset describe")
    return prompt


@dataclass(frozen=True)
class Answer:
    """What a model said of an `image`; without `last`, the chunk behind it, it was broken off."""

    image: EncodedImage
    text: str
    last: Chunk | None = None

    @property
    def stats(self) -> Stats | None:
        return self.last.stats if self.last else None


def since_opened(chunk: Chunk, image: EncodedImage) -> Chunk:
    """The last chunk of an answer, its times counted from when the picture was opened."""
    stats = chunk.stats
    if stats is None:
        return chunk
    first = image.seconds + stats.first_token
    return replace(chunk, stats=replace(stats, vision=image.seconds, first_token=first))


def told(vlm: FastVLM, question: Question, answer: Answer, head: str = "") -> None:
    """What the person must know of an answer, on stderr; `head` says which one it is.

    That it isn't whole stands in the object of --json.
    """
    if answer.last is None or answer.stats is None:
        return
    image = answer.image
    if image.pages > 1 and question.page is None:
        say(f"{head}picture {image.page} of {image.pages} in it; --page N looks at another")
    if not question.as_json and question.options.form is None:
        say_unless_whole(answer.last, question.options, head)
    if answer.stats.doubted:
        doubt(vlm.name, head)
    if question.stats:
        say(statistics(vlm, answer.stats))


def say_unless_whole(last: Chunk, asked: SamplingOptions, head: str = "") -> None:
    """A line about an answer that was cut, and what gives more of it."""
    if why := why_not_whole(last, asked):
        say(f"{head}{why}")


def why_not_whole(last: Chunk, asked: SamplingOptions) -> str | None:
    """That an answer was cut, and what gives more of it; None for a whole one."""
    from galago.vlm.reply import why_cut

    tokens = last.stats.tokens if last.stats else 0
    why = why_cut(last.finish, tokens)
    if why is None:
        return None
    if last.finish == "repetition":
        hint = "--repetition-penalty 1.1 may help, --keep-repetition shows all of it"
    elif tokens < asked.max_tokens:
        hint = "the model has no more positions"
    else:
        hint = "--max-tokens gives it more"
    return f"{why}; {hint}"


def record_of(
    vlm: FastVLM, name: dict[str, Any], question: Question, answer: Answer
) -> dict[str, Any]:
    """The object of --json, `name` first; times in seconds, memory in megabytes (10^6 bytes)."""
    asked = {"preset": question.preset} if question.preset else {"prompt": question.prompt}
    if answer.image.pages > 1:
        name = name | {"page": answer.image.page, "pages": answer.image.pages}
    record: dict[str, Any] = {**name, "text": answer.text, "model": vlm.name, **asked}
    stats = answer.stats
    if answer.last is not None and stats is not None:
        doubted = catalog.doubt(vlm.name) if stats.doubted else None
        record |= {
            "finish": answer.last.finish,
            "time_to_first_token": round(stats.first_token, 4),
            "tokens": stats.tokens,
            "tokens_per_second": round(stats.tokens_per_second, 1),
            "confidence": round(stats.confidence, 4),
            "known": None if stats.known is None else round(stats.known, 4),
            "doubt": unread(vlm.name, question.prompt) or doubted,
            "seconds": {
                name: round(value, 4)
                for name, value in asdict(stats).items()
                if name in ("vision", "prefill", "decode")
            },
            "image_tokens": stats.image_tokens,
            "prompt_tokens": stats.prompt_tokens,
        }
    return record | {
        "resolution": stats.resolution if stats else vlm.resolution,
        "precision": str(vlm.precision),
        "peak_memory_mb": _peak_memory(),
    }


def statistics(vlm: FastVLM, stats: Stats) -> str:
    memory = _peak_memory()
    return (
        f"vision {stats.vision * 1e3:.0f} ms, prefill {stats.prefill * 1e3:.0f} ms, "
        f"first token {stats.first_token * 1e3:.0f} ms, decode {stats.decode * 1e3:.0f} ms; "
        f"{stats.tokens} tokens at {stats.tokens_per_second:.1f} a second; "
        f"{stats.image_tokens} image tokens at {stats.resolution} px; {vlm.precision}; "
        f"confidence {stats.confidence:.2f}" + (f"; peak memory {memory:.0f} MB" if memory else "")
    )


def _peak_memory() -> float | None:
    """The most memory that this process has held, in MB; None where the system can't say."""
    return round(peak_memory() / 1e6, 1) or None
