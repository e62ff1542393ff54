"""The verbs as one command: what people type for one that isn't there, and what they mean by it."""

from __future__ import annotations

import difflib
import os
from typing import Any

from galago.cli.completion import OPTIONS
from galago.cli.groups import Group

__all__ = ["VERBS", "Verbs"]

VERBS = (
    *("describe", "watch", "chat", "index", "search", "duplicates", "album", "forget"),
    *(
        "classify",
        "embed",
        "lance-index",
        "serve",
        "mcp",
        "models",
        "pull",
        "use",
        "cache",
        "finetune",
        "reinforce",
        "train-clip",
        "evaluate",
        "export",
        "doctor",
        "bench",
    ),
)


# Other tools' words, and the first that comes to mind, by meaning and not by letters.
_MEANT = {
    "describe": "caption captions captioning explain ask answer what look see view show analyze "
    "analyse vqa question prompt query run generate",
    "describe PICTURE --preset read": "read ocr text transcribe",
    "describe PICTURE --preset translate --to LANGUAGE": "translate",
    "describe PICTURE --preset count": "count",
    "watch": "live camera webcam screen video stream monitor",
    "chat": "talk converse discuss repl interactive",
    "index (or galago pull MODEL)": "update refresh sync",
    "index": "add scan import build crawl reindex rebuild",
    "search": "find lookup look-for grep locate similar",
    "duplicates": "dedupe dedup duplicate dupes copies same near-duplicates",
    "album": "albums status info stats library",
    "forget": "delete remove erase purge wipe unsee",
    "classify": "label labels tag tags classification zero-shot zeroshot categorize categorise",
    "embed": "vectors vector embedding embeddings encode table lance parquet ray cluster",
    "lance-index": "ivf ivf-pq ivf_pq ann vector-index create-index recall",
    "serve": "server start web ui page gui http api openai",
    "models": "list ls model available",
    "pull": "download fetch get install convert upgrade",
    "use": "default set select switch choose config settings",
    "finetune": "fine-tune tune train teach learn lora sft",
    "reinforce": "distill distil distillation teachers",
    "train-clip": "contrastive train-mobileclip clip",
    "evaluate own": "eval accuracy score test judge metrics",
    "evaluate clip": "imagenet datacomp clip_benchmark clip-benchmark",
    "evaluate precision": "precision precisions quality",
    "evaluate vlm": "lmms-eval lmms gqa textvqa docvqa mmmu leaderboard",
    "export": "onnx transformersjs",
    "cache": "clean clear prune purge rm remove delete uninstall du storage disk space",
    "doctor": "report debug check diagnose diagnostics env selftest",
    "bench": "benchmark speed perf performance measure timing",
    "--help": "help usage man",
    "--version": "version",
}
_BY_WORD = {word: verb for verb, words in _MEANT.items() for word in words.split()}


class Verbs(Group):
    """The group of galago's verbs, with suggestions of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Of --show-completion and --install-completion the shell may be left out."""
        if args and args[0] in OPTIONS and (len(args) == 1 or args[1].startswith("-")):
            args = [args[0], "auto", *args[1:]]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of VERBS, also those of several words, which Typer puts first."""
        return [name for name in VERBS if name in self.commands]

    def unknown(self, name: str) -> str:
        """With what was meant, where that can be told."""
        return _unknown(name, list(self.commands))


def _unknown(name: str, verbs: list[str]) -> str:
    """What to say of a verb that isn't there."""
    word = name.casefold()
    if word in verbs:
        return f"verbs are written in small letters: galago {word}"
    if os.path.isdir(os.path.expanduser(name)):
        return f"{name} is a folder; say what to do with it: galago index {name}, or describe"
    if os.path.exists(os.path.expanduser(name)) or _like_a_picture(name):
        return f"{name} is no verb; did you mean galago describe {name}?"
    meant = _BY_WORD.get(word)
    if meant is None:
        near = difflib.get_close_matches(word, [*verbs, *_BY_WORD], 1, 0.7)
        meant = _BY_WORD.get(near[0], near[0]) if near else None
    if meant is None:
        return f"there is no verb {name!r}; `galago --help` lists them"
    return f"there is no verb {name!r}; did you mean galago {meant}?"


def _like_a_picture(name: str) -> bool:
    from galago.media.images import PICTURE_SUFFIXES

    return "://" in name or os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES
