"""Photos for indexing: `python -m galago.bench.clip.photos large|small COUNT FOLDER PROCESSES`.

What is there already is kept.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from galago.bench.photos import save


def main() -> None:
    kind, count, target, processes = sys.argv[1:]
    work = partial(save, kind, Path(target))
    with ProcessPoolExecutor(int(processes)) as pool:
        sizes = list(pool.map(work, range(int(count)), chunksize=5))
    print(json.dumps({"photos": len(sizes), "bytes": sum(sizes)}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
