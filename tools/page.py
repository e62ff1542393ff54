"""Whether the built page (galago/server/static, committed) is that of the sources in page/.

Exit code 1 says that it isn't: `make page` builds it. Needs no Node. page/vite.config.ts writes the
digest that is computed here.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PAGE, BUILT = TOP / "page", TOP / "galago" / "server" / "static"
BESIDE = ("index.html", "package-lock.json", "tsconfig.json", "vite.config.ts")


def digest(page: Path = PAGE) -> str:
    """Of all files that decide what is built, with their names, in order; sha256 in hexadecimal."""
    files = [page / name for name in BESIDE]
    files += [path for path in (page / "src").rglob("*") if path.is_file()]
    found = hashlib.sha256()
    for name, path in sorted((path.relative_to(page).as_posix(), path) for path in files):
        found.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def fault(page: Path = PAGE, built: Path = BUILT) -> str | None:
    """What is wrong with the built page, in a few words; None when it is whole and of today."""
    try:
        of = (built / "sources.sha256").read_text("ascii").strip()
        html = (built / "index.html").read_text("utf-8")
    except OSError as error:
        return f"{error.filename} is missing"
    if of != digest(page):
        return "page/ has changed since it was built"
    needed = set(re.findall(r'"\./assets/([^"]+)"', html))
    there = {path.name for path in (built / "assets").glob("*")}
    return f"its assets are {sorted(there)}, not {sorted(needed)}" if there != needed else None


def main() -> int:
    found = fault()
    if found is not None:
        print(f"the built page is stale ({found})", file=sys.stderr)
    return 0 if found is None else 1


if __name__ == "__main__":
    raise SystemExit(main())
