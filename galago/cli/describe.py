"""`galago describe`: pictures in, words out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago import catalog
from galago.cli import options
from galago.cli.albums import path_fields, shown
from galago.cli.options import Opening
from galago.cli.pictures import Picture, expand, for_each
from galago.cli.terminal import Bar, say, write, write_record
from galago.errors import OptionError
from galago.presets import PRESETS, preset_prompt

if TYPE_CHECKING:
    from galago.fastvlm import Chunk, FastVLM, Stats
    from galago.sampling import SamplingOptions

__all__ = ["describe"]


@dataclass(frozen=True)
class Question:
    """What is asked of every picture, and how the answer is shown."""

    prompt: str
    preset: str | None
    options: SamplingOptions
    as_json: bool = False
    stats: bool = False


def _complete_preset(incomplete: str) -> Iterator[str]:
    return (name for name in PRESETS if name.startswith(incomplete))


def describe(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE", help="Files, folders, globs, or - for a picture on stdin."
        ),
    ],
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", metavar="TEXT", help="Ask this.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(PRESETS),
            help="Ask a ready question; describe by default.",
            autocompletion=_complete_preset,
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="LANGUAGE", help="For --preset translate: into what.")
    ] = None,
    model: options.ModelName = catalog.DEFAULT,
    resolution: options.Resolution = None,
    max_tokens: options.MaxTokens = 256,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    seed: options.Seed = None,
    stop: options.Stop = None,
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="Look in the folders of a folder too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a picture, on a line of its own.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Show times, tokens a second and memory on stderr.")
    ] = False,
    offline: options.Offline = False,
) -> None:
    """Say what is in pictures, or answer a question about each.

    The answer streams to stdout; everything else goes to stderr.

    \b
    Examples:
      galago describe photo.jpg
      galago describe note.jpg --preset read
      galago describe hand.jpg --prompt "How many fingers are raised?"
      galago describe holiday/ --preset brief --json > holiday.jsonl
      galago describe sign.png --preset translate --to German -m apple/FastVLM-0.5B
      curl -s URL | galago describe -
    """
    question = Question(
        prompt=_prompt(prompt, preset, to),
        preset=None if prompt else preset or "describe",
        options=options.sampling(max_tokens, temperature, top_p, seed, stop),
        as_json=as_json,
        stats=stats,
    )
    found = expand(pictures, recursive=recursive)
    opening = Opening(model, precision, resolution, threads, offline)

    def work(vlm: FastVLM, picture: Picture, bar: Bar) -> None:
        _describe_one(vlm, picture, question, bar, many=len(found) > 1)

    raise typer.Exit(for_each(found, opening.load, work, as_json=as_json))


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


def _describe_one(
    vlm: FastVLM, picture: Picture, question: Question, bar: Bar, *, many: bool
) -> None:
    """Stream one answer; of many, each is shown whole behind its picture's name."""
    source: Any = picture.source
    parts: list[str] = []
    last: Chunk | None = None
    live = not question.as_json and not (many and sys.stderr.isatty())
    for chunk in vlm.stream(source, question.prompt, question.options):
        if live:
            if many and not parts:
                write(f"{shown(picture.label)}: ")
            write(chunk.text)
        parts.append(chunk.text)
        last = chunk
    text = "".join(parts)
    with bar.aside():
        if question.as_json:
            write_record(_record(vlm, picture, question, text, last))
        else:
            write("\n" if live else f"{shown(picture.label)}: {text}\n")
        if last is not None and last.stats is not None:
            options.doubt(vlm.name, last.stats.confidence)
            if question.stats:
                say(_statistics(vlm, last.stats))


def _record(
    vlm: FastVLM, picture: Picture, question: Question, text: str, last: Chunk | None
) -> dict[str, Any]:
    """The object of --json; times in seconds, memory in megabytes (10^6 bytes)."""
    stats = last.stats if last is not None else None
    asked = {"preset": question.preset} if question.preset else {"prompt": question.prompt}
    name = path_fields(picture.label, "picture")
    record: dict[str, Any] = {**name, "text": text, "model": vlm.name, **asked}
    if stats is not None:
        record |= {
            "time_to_first_token": round(stats.first_token, 4),
            "tokens": stats.tokens,
            "tokens_per_second": round(stats.tokens_per_second, 1),
            "confidence": round(stats.confidence, 4),
            "seconds": {
                name: round(value, 4)
                for name, value in asdict(stats).items()
                if name in ("vision", "prefill", "decode")
            },
            "image_tokens": stats.image_tokens,
            "prompt_tokens": stats.prompt_tokens,
        }
    return record | {
        "resolution": vlm.resolution,
        "precision": str(vlm.precision),
        "peak_memory_mb": _peak_memory(),
    }


def _statistics(vlm: FastVLM, stats: Stats) -> str:
    memory = _peak_memory()
    return (
        f"vision {stats.vision * 1e3:.0f} ms, prefill {stats.prefill * 1e3:.0f} ms, "
        f"first token {stats.first_token * 1e3:.0f} ms, decode {stats.decode * 1e3:.0f} ms; "
        f"{stats.tokens} tokens at {stats.tokens_per_second:.1f} a second; "
        f"{stats.image_tokens} image tokens at {vlm.resolution} px; {vlm.precision}; "
        f"confidence {stats.confidence:.2f}" + (f"; peak memory {memory:.0f} MB" if memory else "")
    )


def _peak_memory() -> float | None:
    """Largest resident memory of this process so far in MB; None where the system can't say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
