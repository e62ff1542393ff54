"""`make demo`: asks galago about the four pictures in examples/ and searches the album there.

What is shown is what is run, by a shell in this folder: each line can be pasted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ALBUM = "examples"  # of its own: no album of the person's is touched
STEPS = (
    ("What is written on the note", "describe examples/note.png --preset read"),
    ("How many fingers the hand holds up", "describe examples/hand.jpg --preset count"),
    ("What the emoji shows", "describe examples/emoji.png --preset brief"),
    ("What object the photo shows", "describe examples/object.jpg --preset brief"),
    ("An album of photos", f"index examples/album --album {ALBUM}"),
    ("Photos found by words", f'search "a dress" -k 3 --album {ALBUM}'),
    ("Photos found by words", f"search carrots -k 3 --album {ALBUM}"),
    ("Photos found by words: this one is not there", f'search "a tiger" -k 3 --album {ALBUM}'),
)
REAL = ("apple/FastVLM-0.5B", "MobileCLIP2-S0")


def main() -> int:
    said: set[str] = set()
    failed = 0
    for what, command in STEPS:
        failed |= run(what, f"{galago()} {command}", said)
    if failed == 0:
        explain()
    return failed


def galago() -> str:
    """The command as it is typed in this folder; in double quotes, which every shell reads."""
    script = Path(sys.executable).with_name("galago.exe" if os.name == "nt" else "galago")
    if not script.exists():
        return f"{quoted(sys.executable)} -m galago"
    script = script.parent.resolve() / script.name
    return quoted(str(script.relative_to(TOP) if script.is_relative_to(TOP) else script))


def quoted(path: str) -> str:
    plain = " " not in path if os.name == "nt" else path == shlex.quote(path)
    return path if plain else f'"{path}"'


def run(what: str, command: str, said: set[str]) -> int:
    """Show a command and what it prints; its exit code. `said`: remarks, which are shown once."""
    print(f"\n{what}\n  $ {command}", flush=True)
    done = subprocess.run(command, shell=True, cwd=TOP, capture_output=True, text=True)
    print("\n".join(f"  {line}" for line in done.stdout.splitlines()), flush=True)
    for line in done.stderr.splitlines():
        if line not in said or done.returncode:
            print(line, file=sys.stderr, flush=True)
        said.add(line)
    return done.returncode


def explain() -> None:
    """What the small models are for, and how to get others; nothing where others were asked."""
    from galago import catalog
    from galago.album import album_folder
    from galago.convert.choice import choose_fastvlm
    from galago.hub.choice import choose_clip
    from galago.hub.fetch import gigabytes

    print(f"\nThe album lies in {album_folder(ALBUM)}: delete that folder to be rid of it.")
    if (choose_fastvlm().why, choose_clip().why) != ("embedded", "embedded"):
        return
    own = [row for row in catalog.MODELS if row.embedded]
    print("\nWhat these models are for")
    paragraph(
        f"{' and '.join(row.name for row in own)} come with galago to show that all of it works. "
        "They know notes of a few large words, raised fingers, emoji, and clear photos of some two "
        "hundred things: clothes, groceries, flowers, animals, instruments. Other pictures they "
        "get wrong. For your own pictures fetch real models once; from then on those are used:"
    )
    for row in filter(None, map(catalog.find, REAL)):
        print(f"\n  $ {galago()} pull {row.aliases[0] if row.aliases else row.name}")
        paragraph(f"{row.summary}: {gigabytes(row.download)}; weights {row.licence.terms}")
    print("\n`make serve` shows the page: a camera that speaks, pictures, the album.")


def paragraph(text: str) -> None:
    print(textwrap.fill(text, 88, initial_indent="  ", subsequent_indent="  "))


if __name__ == "__main__":
    raise SystemExit(main())
