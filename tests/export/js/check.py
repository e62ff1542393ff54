"""`make export-js`: does transformers.js say of an exported folder what galago says?

Exports the embedded FastVLM in every dtype, asks it in Node about the four pictures of examples/,
and compares the words with galago's own in float32 where the weights aren't rounded to 4 bits.
The pictures are handed over as galago prepares them; what transformers.js' own processor makes of
them is counted beside it.  Ends with 1 when a word differs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from galago.checkpoints.vlm import open_checkpoint
from galago.convert.load import load_sessions
from galago.export import onnx_folder
from galago.export.fastvlm import DTYPES
from galago.export.readback import ExportedLanguage, ExportedVision
from galago.hub.resolve import resolve
from galago.media.images import load_square
from galago.text.presets import PRESETS
from galago.text.tokens import load_tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[2] / "examples"
ASKED = {"note.png": "read", "hand.jpg": "count", "emoji.png": "describe", "object.jpg": "describe"}
TOKENS = 48


def main(dtypes: Sequence[str]) -> int:
    model = resolve("fastvlm-nano")
    source = open_checkpoint(model.folder)
    tokenizer = load_tokenizer(source.folder)
    own = load_sessions(source, "fp32")
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        onnx_folder.answers_of = lambda source: None  # the answers are asked for in Node instead
        made = onnx_folder.export_onnx(model, dtypes, Path(place) / "model").folder
        asked = []
        for name, preset in ASKED.items():
            square = load_square(EXAMPLES / name, source.spec.image)
            exact = Path(place) / f"{name}.exact.png"
            Image.fromarray(square.pixels).save(exact)
            question = PRESETS[preset]
            asked.append(
                {"picture": str(EXAMPLES / name), "exact": str(exact), "question": question}
            )
        for name in dtypes:
            job = {"model": str(made), "dtype": name, "asked": asked, "tokens": TOKENS}
            told = in_node(Path(place) / "job.json", job)
            vision, language = own.vision, own.language
            if DTYPES[name].decoder.bits:  # rounded: what the file itself says, by another reader
                vision = ExportedVision(made / "onnx", DTYPES[name])
                language = ExportedLanguage(made / "onnx", DTYPES[name], source.spec.text)
            vlm = FastVLM(vision, language, tokenizer, source.spec)
            said = [answer(vlm, one["exact"], one["question"]) for one in asked]
            failed += report(name, said, told)
    return 1 if failed else 0


def in_node(path: Path, job: dict[str, object]) -> list[dict[str, str]]:
    path.write_text(json.dumps(job))
    line = ["node", str(HERE / "ask.mjs"), str(path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"Node failed:\n{done.stderr[-4000:]}")
    return [json.loads(row) for row in done.stdout.splitlines() if row.startswith("{")]


def answer(vlm: FastVLM, picture: str, question: str) -> str:
    return str(vlm.ask(vlm.encode(picture), question, options=SamplingOptions(max_tokens=TOKENS)))


def report(dtype: str, said: list[str], told: list[dict[str, str]]) -> int:
    """Prints a line, and one for each answer that differs; how many do."""
    assert len(told) == len(said), (len(told), len(said))
    ours = sum(a.strip() == b["exact"].strip() for a, b in zip(said, told, strict=True))
    theirs = sum(a.strip() == b["own"].strip() for a, b in zip(said, told, strict=True))
    print(
        f"{dtype}: {ours} of {len(said)} answers the same for exact squares, {theirs} for pictures "
        "as transformers.js prepares them"
    )
    for a, b in zip(said, told, strict=True):
        if a.strip() != b["exact"].strip():
            print(f"  galago {a!r}, transformers.js {b['exact']!r}")
    return len(said) - ours


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or list(DTYPES)))
