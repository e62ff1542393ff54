"""Whether the built pages (galago/server/static, galago/export/page; committed) are of page/.

Exit code 1 says that one isn't: `make page` builds both. Needs no Node. page/vite.config.ts writes
the digest that is computed here.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "page"
SERVER, WEB = TOP / "galago" / "server" / "static", TOP / "galago" / "export" / "page"
BESIDE = ("index.html", "package-lock.json", "tsconfig.json", "vite.config.ts")


def digest(page: Path = PAGE) -> str:
    """Of all files that decide what is built, with their names, in order; sha256 in hexadecimal."""
    files = [page / name for name in BESIDE]
    for folder in ("src", "web"):
        files += [path for path in (page / folder).rglob("*") if path.is_file()]
    found = hashlib.sha256()
    for name, path in sorted((path.relative_to(page).as_posix(), path) for path in files):
        found.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def fault(page: Path = PAGE, built: Path = SERVER) -> str | None:
    """What is wrong with a built page, in a few words; None when it is whole and of today."""
    try:
        of = (built / "sources.sha256").read_text("ascii").strip()
        html = (built / "index.html").read_text("utf-8")
        worker = (built / "sw.js").read_text("utf-8") if (built / "sw.js").exists() else ""
    except OSError as error:
        return f"{error.filename} is missing"
    if of != digest(page):
        return "page/ has changed since it was built"
    # What the page loads at once, and what its service worker keeps: the rest of its scripts.
    needed = set(re.findall(r'"(?:\./)?assets/([^"]+)"', html + worker))
    there = {path.name for path in (built / "assets").glob("*")}
    return f"its assets are {sorted(there)}, not {sorted(needed)}" if there != needed else None


def main() -> int:
    """Of the page of `galago serve`, or of both (`--all`): nobody needs the other one to serve."""
    both = "--all" in sys.argv[1:]
    found = {built: fault(built=built) for built in (SERVER, *([WEB] if both else []))}
    for built, wrong in found.items():
        if wrong is not None:
            print(f"the built page {built} is stale ({wrong})", file=sys.stderr)
    return int(any(found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
