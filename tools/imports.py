"""Prints what galago's imports say: modules in the root, circles, the longest chains.

    python tools/imports.py

Every import counts, also one inside a function or for a type only. A room is a folder of galago;
the modules in its root are the ground. tests/test_house.py asks the same functions.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

Graph = Mapping[str, set[str]]
PACKAGE = Path(__file__).resolve().parent.parent / "galago"


def dotted(path: Path) -> str:
    """galago/engine/network.py -> "engine.network"; an __init__.py has its folder's name."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


GROUND = {"version", "errors", "progress", "specs", "catalog", "config", "places", "disk", "memory"}


def room_of(module: str) -> str:
    """The folder of a module, or the module in the root; what all rooms stand on is "ground"."""
    first = module.split(".")[0]
    return "ground" if first in GROUND else first


def imported(path: Path) -> set[str]:
    """Full names of what a file imports; of a module's names the module, of a folder's its modules.

    `from galago.engine import network` gives "galago.engine.network", as that is a file.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{path}: relative import; write it in full"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if _is_file(name) else node.module)
    return found


def _is_file(name: str) -> bool:
    first, _, rest = name.partition(".")
    path = PACKAGE.joinpath(*rest.split("."))
    return first == "galago" and (path.with_suffix(".py").is_file() or path.is_dir())


def graph() -> dict[str, set[str]]:
    """Module -> modules of galago that it imports; "" is galago/__init__.py."""
    edges = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        names = (name.split(".", 1) for name in imported(path))
        edges[dotted(path)] = {rest[0] if rest else "" for top, *rest in names if top == "galago"}
    return edges


def circles(edges: Graph) -> list[list[str]]:
    """Groups of modules that import each other, the largest first (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(edges.get(module, ())):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            found.append(sorted(group))

    for module in edges:
        if module not in index:
            visit(module)
    return sorted((group for group in found if len(group) > 1), key=len, reverse=True)


def longest(edges: Graph) -> list[str]:
    """The longest chain of imports; a circle counts with all that are in it."""
    groups = {group[0]: group for group in circles(edges)}
    of = {module: first for first, group in groups.items() for module in group}
    joined: dict[str, set[str]] = {}
    for module, targets in edges.items():
        here = of.get(module, module)
        joined.setdefault(here, set()).update(of.get(t, t) for t in targets)
    known: dict[str, list[str]] = {}

    def chain(module: str) -> list[str]:
        if module not in known:
            rest = (chain(target) for target in joined.get(module, set()) - {module})
            known[module] = [*groups.get(module, [module]), *max(rest, key=len, default=[])]
        return known[module]

    return max(map(chain, joined), key=len, default=[])


def by_room(edges: Graph) -> dict[str, set[str]]:
    """The same between rooms."""
    rooms: dict[str, set[str]] = {}
    for module, targets in edges.items():
        room = room_of(module)
        rooms.setdefault(room, set()).update({room_of(target) for target in targets} - {room})
    return rooms


def main() -> int:
    edges = graph()
    root = sorted(path.stem for path in PACKAGE.glob("*.py"))
    print(f"modules in the root: {len(root)} ({', '.join(root)})")
    for what, one in (("modules", edges), ("rooms", by_room(edges))):
        groups, chain = circles(one), longest(one)
        print(f"circles of {what}: {len(groups)}")
        for group in groups:
            print(f"  {len(group)}: {', '.join(name or 'galago' for name in group)}")
        print(f"longest chain of {what}: {len(chain)} ({' > '.join(n or 'galago' for n in chain)})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
