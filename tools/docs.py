"""Writes the generated parts of the docs, or checks them (--check).

A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; everything else in a
page is written by hand and left alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galago.catalog import Model

os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = "88"
os.environ["NO_COLOR"] = "1"
os.environ.pop("GALAGO_CACHE", None)

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))
PAGES = ("README.md", "docs/cli.md", "docs/api.md", "docs/models.md")
PART = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def help_of(*verb: str) -> str:
    """What `galago VERB --help` prints."""
    from galago.cli.main import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([*verb, "--help"])
    command = " ".join(["galago", *verb, "--help"])
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join(["```", f"$ {command}", *lines, "```"]) + "\n"


def cli() -> str:
    from galago.cli.app import app
    from galago.cli.verbs import VERBS

    parts = [help_of()]
    groups = {str(group.typer_instance.info.name): group for group in app.registered_groups}
    for verb in VERBS:
        parts.append(f"## galago {verb}\n\n{help_of(verb)}")
        for inner in groups[verb].typer_instance.registered_commands if verb in groups else ():
            parts.append(help_of(verb, str(inner.name)))
    return "\n".join(parts)


def models() -> str:
    """The tables of models, from the catalogue."""
    from galago import catalog

    heads = {
        "fastvlm": "Answer questions about pictures (`describe`, `chat`):",
        "mobileclip": "Find and label pictures (`index`, `search`, `classify`):",
    }
    tables = (
        f"{head}\n\n{_table([row for row in catalog.MODELS if row.kind == kind])}"
        for kind, head in heads.items()
    )
    return "\n".join(tables)


def _table(models: Sequence[Model]) -> str:
    from galago.hub.fetch import gigabytes

    rows = ["| model | what it is | fetched | parameters | licence of the weights |"]
    rows.append("|---|---|---|---|---|")
    for row in models:
        fetched = "nothing: in the package" if row.embedded else gigabytes(row.download)
        count = f"{row.parameters / 1e6:.1f} M" if row.parameters < 1e8 else ""
        count = count or f"{row.parameters / 1e9:.2f} B"
        licence = f"[{row.licence.name}]({row.licence.url}): {row.licence.terms}"
        names = " or ".join(f"`{name}`" for name in (row.name, *row.aliases))
        rows.append(f"| {names} | {row.summary} | {fetched} | {count} | {licence} |")
    return "\n".join(rows) + "\n"


def api() -> str:
    """The public names with their signatures and docstrings."""
    import galago

    parts = []
    for name in sorted(galago.__all__):
        thing = getattr(galago, name)
        if inspect.isclass(thing) and issubclass(thing, Exception):
            continue
        if inspect.isclass(thing):
            parts.append(_class(name, thing))
        elif callable(thing):
            parts.append(f"## {name}\n\n```python\n{name}{_signature(thing)}\n```\n\n{_doc(thing)}")
        elif isinstance(thing, dict):
            lines = "\n".join(f"- `{key}`: {value}" for key, value in thing.items())
            parts.append(f"## {name}\n\n{lines}\n")
    errors = importlib.import_module("galago.errors")
    parts.append(f"## Errors\n\n{_doc(errors)}")
    return "\n".join(parts)


def _class(name: str, kind: type) -> str:
    parts = [f"## {name}\n\n{_doc(kind)}"]
    if dataclasses.is_dataclass(kind):
        fields = ", ".join(f"{f.name}: {f.type}" for f in dataclasses.fields(kind))
        parts.insert(1, f"```python\n{name}({fields})\n```\n")
    for key, member in vars(kind).items():
        if key.startswith("_"):
            continue
        inner = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if isinstance(member, property):
            doc = _doc(member.fget)
            parts.append(f"### {name}.{key}\n\n{doc}")
        elif inspect.isfunction(inner):
            parts.append(f"### {name}.{key}\n\n```python\n{key}{_signature(inner)}\n```\n")
            parts.append(_doc(inner))
    return "\n".join(parts)


def _signature(function: Callable[..., object]) -> str:
    """As written: annotations are strings, so quotes are taken off. Long ones a line a name."""
    signature = inspect.signature(function)
    kept = [p for n, p in signature.parameters.items() if n not in ("self", "cls")]
    text = str(signature.replace(parameters=kept)).replace("'", "")
    if len(text) > 88:
        inside, _, returns = text.rpartition(") -> ")
        text = "(\n    " + _split(inside[1:]) + f",\n) -> {returns}"
    return text


def _split(parameters: str) -> str:
    depth, out = 0, ""
    for letter in parameters:
        depth += (letter in "[(") - (letter in "])")
        out += ",\n   " if letter == "," and depth == 0 else letter
    return out


def _doc(thing: object) -> str:
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"::\n\n((?:    .*\n?|\n)+)", lambda m: f"\n\n```\n{_dedent(m[1])}\n```\n", text)
    return text + "\n"


def _dedent(block: str) -> str:
    return "\n".join(line[4:] for line in block.rstrip().splitlines())


PARTS: dict[str, Callable[[], str]] = {"cli": cli, "models": models, "api": api}


def main() -> int:
    check = "--check" in sys.argv
    stale = []
    for page in PAGES:
        path = TOP / page
        old = path.read_text("utf-8")
        new = PART.sub(lambda m: m[1] + PARTS[m[2]]().rstrip() + "\n" + m[3], old)
        if new != old:
            stale.append(page)
            if not check:
                path.write_text(new, "utf-8")
    if check and stale:
        print(f"stale: {' '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    if stale:
        print(f"wrote {' '.join(stale)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
