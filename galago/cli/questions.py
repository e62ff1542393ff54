"""What is asked of every picture: the options that say it, and what is told about an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago import catalog
from galago.cli.options import unread
from galago.errors import OptionError
from galago.memory import peak_memory
from galago.text.presets import PRESETS, preset_prompt

if TYPE_CHECKING:
    from galago.vlm.fastvlm import FastVLM, Stats
    from galago.vlm.sampling import SamplingOptions

__all__ = ["Asked", "Question", "record_of", "statistics"]


def _complete_preset(incomplete: str) -> Iterator[str]:
    return (name for name in PRESETS if name.startswith(incomplete))


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
    str | None, typer.Option(metavar="LANGUAGE", help="For --preset translate: into what.")
]


@dataclass(frozen=True)
class Question:
    """What is asked of every picture, and how the answer is shown."""

    prompt: str
    preset: str | None
    options: SamplingOptions
    as_json: bool = False
    stats: bool = False


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
        return preset_prompt(preset or "describe", **({"to": to} if to else {}))
    if not prompt.strip():
        raise OptionError("--prompt is empty: ask something, or use --preset describe")
    return prompt


def record_of(
    vlm: FastVLM, name: dict[str, Any], question: Question, text: str, stats: Stats | None
) -> dict[str, Any]:
    """The object of --json, `name` first; times in seconds, memory in megabytes (10^6 bytes)."""
    asked = {"preset": question.preset} if question.preset else {"prompt": question.prompt}
    record: dict[str, Any] = {**name, "text": text, "model": vlm.name, **asked}
    if stats is not None:
        doubt = catalog.doubt(vlm.name, stats.confidence)
        record |= {
            "time_to_first_token": round(stats.first_token, 4),
            "tokens": stats.tokens,
            "tokens_per_second": round(stats.tokens_per_second, 1),
            "confidence": round(stats.confidence, 4),
            "doubt": unread(vlm.name, question.prompt) or (doubt and doubt.sentence()),
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
