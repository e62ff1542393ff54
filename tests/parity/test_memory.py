"""Converting FastVLM-7B's widths to int4 within 6 GB of resident memory.

The source is a sparse file of zeros in the published shapes: what is read, computed and written is
the same, only the disk is spared. Memory depends on the widths and hardly on the depth, because
tensors and layers pass one after the other; so the default run has 3 of the 28 layers (3.9 GB of
source). GALAGO_LAYERS=28 takes the whole 15 GB and some minutes.

No torch here; it stands in tests/parity because it is as slow as the full shape.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from galago.checkpoints.names import HEAD
from galago.checkpoints.safetensors import SafetensorsWriter
from galago.checkpoints.tensors import Entry
from galago.checkpoints.writing import every_shape, llava_config
from galago.specs import FASTVITHD, ImageSpec, Qwen2Spec
from tests.helpers.checkpoints import write_tokenizer

LAYERS = int(os.environ.get("GALAGO_LAYERS", "3"))
CONVERT = """
import sys
from pathlib import Path
from galago.checkpoints.vlm import open_checkpoint
from galago.convert.write import convert
convert(open_checkpoint(sys.argv[1]), sys.argv[2], "int4", force=True)
print([l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l][0].split()[1])
"""


def sparse_folder(folder: Path, text: Qwen2Spec) -> Path:
    """Published shapes full of zeros; one number keeps lm_head from being the embedding."""
    shapes = every_shape(FASTVITHD, text)
    plan = {name: Entry("BF16", shape) for name, shape in shapes.items()}
    path = folder / "model.safetensors"
    writer = SafetensorsWriter(path, plan)
    writer.abandon()
    head_first = path.stat().st_size
    for name, entry in plan.items():
        if name == HEAD:
            break
        head_first += entry.size
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + sum(entry.size for entry in plan.values()))
        file.seek(head_first)
        file.write(b"\x80\x3f")
    config = llava_config(FASTVITHD, text, ImageSpec(side=1024), end=2)
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder)
    return folder


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_7b_converts_within_6_gb(tmp_path: Path, report) -> None:
    text = Qwen2Spec(3584, 18944, LAYERS, 28, 4, 152064, tied=False)
    folder = sparse_folder(tmp_path, text)
    command = [sys.executable, "-c", CONVERT, str(folder), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak = int(done.stdout.split()[-1]) * 1024
    assert report(f"7B widths, {LAYERS} layers, to int4: peak GB", peak / 1e9) < 6.0
