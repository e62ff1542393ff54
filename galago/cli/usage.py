"""A mistake of usage in one line, and what was probably meant by it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from galago.cli.verbs import VERBS

__all__ = ["explained"]

# Options of other tools, by the verb that they are typed behind ("" is any).
_OPTIONS = {
    "": {
        "--output -o --out": "results go to stdout: write > FILE behind the command",
        "--gpu --cuda --cpu --npu": "galago runs on the CPU, or on an Intel GPU with --device GPU",
        "--device": "galago runs this on the CPU; --threads N says on how much of it",
        "--verbose --debug": "GALAGO_DEBUG=1 in front of the command shows where an error is",
        "--quiet": "all but results goes to stderr: write 2> FILE behind the command",
        "--format": "--json writes a record of each result",
        "-v -V": "galago --version",
    },
    "describe": {
        "--question -q --text --ask --query --instruction": '-p "a question" asks',
        "--image -i --file -f --input --picture": "pictures stand without an option: describe FILE",
        "--language --lang -l": "--preset translate --to LANGUAGE",
        "--labels": "galago classify FILE --labels A,B compares labels",
    },
    "watch": {
        "--question -q --text --ask": '-p "a question" asks',
        "--fps --interval": "--every 500ms says how often to look",
        "--video --file -i --input": "a video stands without an option: watch FILE",
        "--screen": "galago watch screen",
    },
    "chat": {"-p --prompt -q --question": "questions are typed when it has begun, or piped in"},
    "search": {
        "-n --limit --top --count --num --results": "-k N says how many",
        "--query -q -p --prompt": 'words stand without an option: search "a dog"',
        "--picture -i --file --like": "--image PICTURE finds photos like it",
        "--folder --dir --folders": "--in FOLDER searches in one that has been indexed",
        "--from --after": "--since DATE",
        "--to --before": "--until DATE",
        "--print0 -print0": "-0 puts a NUL behind each path",
        "-1 -2 -3 -4 -5 -6 -7 -8 -9 -.": "a weight can't be negative; --minus X is what is rather "
        "not wanted",
    },
    "classify": {
        "--label --classes --class --categories -c": "--labels A,B,C",
        "-k -n --limit": "--top N says how many",
        "--image -i --file --input": "pictures stand without an option: classify FILE --labels A,B",
    },
    "index": {
        "--recursive -r -R": "folders in folders are always indexed",
        "--exclude --ignore": "--skip NAME leaves out",
        "--force --rebuild": "--fresh encodes everything again",
        "--name": "--album NAME",
    },
    "evaluate": {
        "--output -o": "galago evaluate own DATA --out FOLDER",
        "-n --num --samples --count": "galago evaluate own DATA --limit N",
        "--data -d": "the data stands without an option: galago evaluate own DATA",
        "--prompt -p": "galago evaluate own DATA --suffix TEXT stands behind each question",
    },
    "cache": {
        "--clear --clean --delete --remove --rm": "it is a word: galago cache clear [WHAT]",
        "--force -f": "--yes removes without asking",
    },
    "pull": {"--model -m": "the model stands without an option: pull MODEL"},
}
# What more was meant, behind verbs that take no more.
_MORE = {
    "album": "another album is chosen with --album NAME",
    "duplicates": "it looks through an album: galago index FOLDER comes first",
    "models": "it lists them all; galago pull MODEL fetches one",
    "chat": "it talks about one picture, and questions are typed when it has begun",
    "serve": "pictures are opened in the page that it serves: galago serve --open",
    "watch": "it watches one source",
    "pull": "it fetches one model at a time",
}


def explained(error: Any, arguments: Sequence[str]) -> str:
    """One line about a usage error of Typer's."""
    verb = next(iter(arguments), "")
    verb = verb if verb in VERBS else ""
    option = getattr(error, "option_name", None) if hasattr(error, "possibilities") else None
    if option is not None:
        told = f"there is no option {option}"
        meant = _meant(str(option), verb) or _near(str(option), error)
    else:
        told = str(error.format_message()).rstrip(".")
        told = told[:1].lower() + told[1:]
        for of_python, plain in (("a valid int", "a whole number"), ("a valid float", "a number")):
            told = told.replace(of_python, plain)
        meant = _MORE.get(verb) if "extra argument" in told else None
    command = f"galago {verb}".strip()
    path = str(getattr(getattr(error, "ctx", None), "command_path", ""))
    command = path if path.startswith(f"{command} ") else command  # of a verb of several words
    return f"{told}; {meant or f'`{command} --help` shows what there is'}"


def _meant(option: str, verb: str) -> str | None:
    for meanings in (_OPTIONS.get(verb, {}), _OPTIONS[""]):
        for options, told in meanings.items():
            if option in options.split():
                return told
    return None


def _near(option: str, error: Any) -> str | None:
    """Typer's own suggestions take --question for --resolution: only near ones are passed on."""
    near = difflib.get_close_matches(option, error.possibilities or (), 1, 0.75)
    return f"did you mean {near[0]}?" if near else None
