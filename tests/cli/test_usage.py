"""Mistakes of usage: one line, and what was meant."""

from __future__ import annotations

import re

import pytest

from galago.cli import usage
from galago.cli.main import main
from galago.cli.verbs import VERBS
from tests.helpers.commandline import run

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("describe", "missing argument 'PICTURE'; `galago describe --help`"),
        ("describe x.jpg --question a", '-p "a question" asks'),
        ("describe --image x.jpg", "pictures stand without an option"),
        ("describe x.jpg --lang German", "--preset translate --to LANGUAGE"),
        ("describe x.jpg -o out.txt", "write > FILE"),
        ("describe x.jpg --gpu", "runs on the CPU"),
        ("describe x.jpg --prompts a", "there is no option --prompts; did you mean --prompt?"),
        ("describe x.jpg --nonsense", "there is no option --nonsense; `galago describe --help`"),
        ("describe x.jpg --max-tokens abc", "is not a whole number"),
        ("describe x.jpg --temperature hot", "is not a number"),
        ("describe x.jpg -p", "requires an argument; `galago describe --help`"),
        ("search dog -n 3", "-k N says how many"),
        ("search -k many dog", "is not a whole number"),
        ("classify x.jpg --classes a,b", "--labels A,B,C"),
        ("index x --recursive", "always indexed"),
        ("index x --exclude y", "--skip NAME"),
        ("album list", "--album NAME"),
        ("duplicates pics", "galago index FOLDER comes first"),
        ("models fastvlm", "it lists them all"),
        ("chat x.jpg why", "questions are typed when it has begun"),
        ("serve x.jpg", "galago serve --open"),
        ("mcp x", "`galago mcp --help`"),
        ("-v", "galago --version"),
        ("--verson", "did you mean --version?"),
        ("bench --runs 0", "0 is not in the range"),
    ],
)
def test_one_line_says_what_was_meant(capsys: Capture, line: str, told: str) -> None:
    result = run(capsys, *line.split())
    assert result.code == 2 and told in result.line and not result.out
    assert len(result.err.splitlines()) == 1


def test_nothing_at_all_shows_the_help() -> None:
    assert main([]) == 2


def test_what_is_offered_is_there(capsys: Capture) -> None:
    """No meaning names an option that its verb doesn't have, or corrects one that it has."""
    assert set(usage._OPTIONS) <= {"", *VERBS} and set(usage._MORE) <= set(VERBS)
    for verb, meanings in usage._OPTIONS.items():
        if not verb:
            continue
        there = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", run(capsys, verb, "--help").out))
        for options, told in meanings.items():
            assert not set(options.split()) & there, (verb, options)
            if "galago" not in told:
                assert set(re.findall(r"--?[a-z][\w-]*", told)) <= there, (verb, told)
