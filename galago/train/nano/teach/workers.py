"""Teachers as processes: a JSON line with a picture goes in, one with what is seen comes out.

Each needs packages that galago doesn't get along with (another NumPy, node), so each runs in an
environment of its own, and only when shards are labelled. What they answer is kept beside the
shards, FOLDER/TEACHER/SHARD.jsonl, a row a picture: "reinforce once, store" (MobileCLIP, arXiv
2311.17049, section 3).
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from galago.errors import OptionError

HERE = Path(__file__).parent
SCRIPTS = {
    "hands": "hands_worker.py",
    "text": "text_worker.py",
    "things": "things_worker.mjs",
}
Row = dict[str, Any]


def command_of(teacher: str, place: Path) -> tuple[list[str], Path | None]:
    """How a teacher is started, and in which folder.

    `place`: the environment's python; for "things" the folder that holds node_modules. OptionError
    for what isn't there.
    """
    script = str(HERE / SCRIPTS[teacher])
    if teacher == "things":
        if not (place / "node_modules").is_dir():
            raise OptionError(f"{place} has no node_modules: docs/training.md says what to install")
        return ["node", script], place
    if not place.is_file():
        raise OptionError(f"{place} is no python: docs/training.md says what to install")
    return [str(place), script], None


def answers(
    command: Sequence[str], pictures: Iterable[tuple[str, bytes]], folder: Path | None = None
) -> Iterator[Row]:
    """What a teacher says of each picture (key, bytes of a file), in order.

    OptionError when the process ends before it has answered.
    """
    raw = command[0] == "node"
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        try:
            for key, data in pictures:
                worker.stdin.write(json.dumps({"key": key} | _sent(data, raw)) + "\n")
                worker.stdin.flush()
                line = worker.stdout.readline()
                if not line:
                    raise BrokenPipeError
                yield json.loads(line)
            worker.stdin.close()
        except (BrokenPipeError, json.JSONDecodeError):
            worker.kill()
            raise OptionError(f"{' '.join(command)} broke off; it says why above") from None
        finally:
            if worker.poll() is None and not worker.stdin.closed:
                worker.kill()


def _sent(data: bytes, raw: bool) -> Row:
    if not raw:
        return {"picture": base64.b64encode(data).decode()}
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    rgb = base64.b64encode(picture.tobytes()).decode()
    return {"rgb": rgb, "width": picture.width, "height": picture.height}


def place_of(folder: Path, teacher: str, shard: str) -> Path:
    """Where a teacher's rows about a shard lie."""
    return folder / teacher / f"{shard}.jsonl"


def read_rows(folder: Path, teacher: str, shard: str) -> dict[str, Row]:
    """A teacher's rows by key; none where it wasn't asked. A torn last line is left out."""
    path = place_of(folder, teacher, shard)
    rows: dict[str, Row] = {}
    if path.is_file():
        for line in path.read_text("utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            rows[row["key"]] = row
    return rows
