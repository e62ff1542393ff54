"""A program in lmms-eval's place: the same command line and files, and answers as a test wants
them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["put_harness"]

_PROGRAM = """
import json, os, pathlib, sys
arguments = dict(zip(sys.argv[1::1], sys.argv[2::1]))
task = arguments["--tasks"]
wish = json.loads(pathlib.Path(__file__).with_name("wish.json").read_text())
seen = pathlib.Path(__file__).with_name("seen.jsonl")
with seen.open("a") as file:
    told = {name: value for name, value in os.environ.items()}
    print(json.dumps({"arguments": sys.argv[1:], "env": told, "cwd": os.getcwd()}), file=file)
print("on stdout it logs")
bar = "\\rModel Responding:  %d%%|##   | %d/%d [00:01<00:01, 1.00it/s]"
if wish.get("fail"):
    sys.exit("Traceback\\ndatasets.exceptions.DatasetNotFoundError: no such data\\nat last")
offset, limit = int(arguments.get("--offset", 0)), arguments.get("--limit")
samples = wish["samples"][offset:]
samples = samples if limit is None else samples[:int(limit)]
for at in range(len(samples)):
    sys.stderr.write(bar % (100 * at / len(samples), at + 1, len(samples)))
out = pathlib.Path(arguments["--output_path"])
(out / "submissions").mkdir(parents=True)
results = {
    "results": {task: wish["figures"]},
    "n-samples": {task: {"original": len(wish["samples"]), "effective": len(samples)}},
}
(out / "1_results.json").write_text(json.dumps(results))
lines = [json.dumps(one) + "\\n" for one in samples]
(out / f"1_samples_{task}.jsonl").write_text("".join(lines))
"""


def put_harness(folder: Path) -> Path:
    """A package `lmms_eval` in a folder, for PYTHONPATH: it does as `wish.json` beside its program
    says, and writes into `seen.jsonl` how it was started."""
    place = folder / "lmms_eval"
    place.mkdir(parents=True)
    (place / "__init__.py").touch()
    (place / "__main__.py").write_text(_PROGRAM)
    kept = folder / "lmms_eval-0.7.3.dist-info"
    kept.mkdir()
    (kept / "METADATA").write_text("Metadata-Version: 2.1\nName: lmms-eval\nVersion: 0.7.3\n")
    return place
