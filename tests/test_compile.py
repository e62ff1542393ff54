"""Converting and loading: same answers from disk as from memory, whole folders or none."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert import write as convert_module
from galago.convert.folder import FORMAT
from galago.convert.load import load_sessions
from galago.convert.selfcheck import BOUNDS, judge
from galago.convert.write import convert
from galago.engine import quantise
from galago.engine.precision import PrecisionPlan, resolve_precision
from galago.engine.vlm_sessions import Sessions
from galago.errors import CheckpointError, OptionError, SelfCheckError, StorageError
from galago.specs import FASTVITHD, VLMSpec
from tests.checkpoints import FULL_TEXT, TINY_TEXT, tiny_fast_vlm, tiny_llava
from tests.running import answer, compare

# Wide enough for int4 groups of 128.
TEXT = replace(TINY_TEXT, hidden=128, intermediate=256)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(tiny_llava(tmp_path_factory.mktemp("m") / "tiny", text=TEXT))


@pytest.fixture(scope="module")
def int8(source: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "int8"
    convert(source, out, "int8")
    return out


def same(a: Sessions, b: Sessions) -> None:
    for left, right in zip(answer(a), answer(b), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int4"])
def test_converted_is_loaded_directly(source: Checkpoint, tmp_path: Path, precision: str) -> None:
    figures = convert(source, tmp_path / "out", precision, force=True)
    converted = load_sessions(tmp_path / "out")
    assert converted.spec == source.spec
    assert converted.precision.language == precision
    same(converted, load_sessions(source, precision))
    # Features are held to the bound even where random int4 weights blur the next words.
    assert figures.cosine_min > BOUNDS[precision].cosine_min


def test_converted_folder(int8: Path, source: Checkpoint) -> None:
    assert sorted(path.name for path in int8.iterdir()) == [
        "galago.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    manifest = json.loads((int8 / "galago.json").read_text())
    assert manifest["format"] == FORMAT
    assert manifest["precision"]["language"] == "int8"
    assert manifest["source"] == source.identity
    check = manifest["self_check"]
    assert check["passed"] and check["positions"] == 3 * 64
    assert check["kl"] < check["bounds"]["kl"] and check["top1"] > check["bounds"]["top1"]


def test_source_may_go(int8: Path, tmp_path: Path, source: Checkpoint) -> None:
    """A converted folder is all that is needed, wherever it is moved."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(int8, moved)
    same(load_sessions(moved, "int8"), load_sessions(source, "int8"))


def test_fast_vlm_converts_to_the_same(tmp_path: Path, int8: Path) -> None:
    theirs = open_checkpoint(tiny_fast_vlm(tmp_path / "theirs", text=TEXT, shards=2))
    convert(theirs, tmp_path / "out", "int8")
    same(load_sessions(tmp_path / "out"), load_sessions(int8))


def test_compiled_graphs_can_be_kept(int8: Path, tmp_path: Path) -> None:
    first = load_sessions(int8, cache_dir=tmp_path / "graphs")
    assert any((tmp_path / "graphs").iterdir())
    same(load_sessions(int8, cache_dir=tmp_path / "graphs"), first)


def test_loading_writes_nothing(tmp_path: Path) -> None:
    folder = tiny_llava(tmp_path / "tiny")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    load_sessions(folder, threads=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_another_precision_must_be_converted_again(int8: Path) -> None:
    with pytest.raises(OptionError, match="converted to int8"):
        load_sessions(int8, "int4")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 99}, "another version"),
        ({"precision": {"x": 1}}, "damaged"),
        ({"spec": {}}, "damaged"),
        ({"tensors": ["lm_head.weight", "lost"]}, "lacks lost"),
    ],
)
def test_damaged_manifest(int8: Path, tmp_path: Path, change: dict[str, Any], match: str) -> None:
    shutil.copytree(int8, tmp_path / "copy")
    path = tmp_path / "copy" / "galago.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=match):
        load_sessions(tmp_path / "copy")


def test_damaged_weights(int8: Path, tmp_path: Path) -> None:
    shutil.copytree(int8, tmp_path / "copy")
    path = tmp_path / "copy" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="cut short"):
        load_sessions(tmp_path / "copy")
    path.unlink()
    with pytest.raises(CheckpointError, match=r"lacks model\.safetensors"):
        load_sessions(tmp_path / "copy")


class Stopped:
    """A writer that fails in the middle."""

    error: BaseException = KeyboardInterrupt()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from galago.checkpoints.safetensors import SafetensorsWriter

        self._real = SafetensorsWriter(*args, **kwargs)
        self.written = 0
        self._left = 20

    def append(self, name: str, array: np.ndarray) -> None:
        self._left -= 1
        if not self._left:
            raise self.error
        self._real.append(name, array)

    def close(self) -> None:
        self._real.close()

    def abandon(self) -> None:
        self._real.abandon()


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, "full"),
        (OSError(errno.EACCES, "Permission denied"), StorageError, "cannot be written"),
    ],
)
@pytest.mark.parametrize("there", [True, False], ids=["replacing", "new"])
def test_interrupted_leaves_nothing(
    source: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    raised: type[BaseException],
    match: str | None,
    there: bool,
) -> None:
    if there:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "old").write_text("kept")
    monkeypatch.setattr(Stopped, "error", error)
    monkeypatch.setattr(convert_module, "SafetensorsWriter", Stopped)
    with pytest.raises(raised, match=match):
        convert(source, tmp_path / "out", "int8")
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["out"] if there else [])
    assert not there or (tmp_path / "out" / "old").read_text() == "kept"


def test_a_conversion_that_strays_is_refused(
    source: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scales gone wrong: refused, and kept only by force, with the figures."""
    right = quantise.int8_rows

    def wrong(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, scale = right(matrix)
        return values, scale * np.linspace(0, 2, len(scale), dtype=np.float32)[:, None]

    monkeypatch.setattr(quantise, "int8_rows", wrong)
    with pytest.raises(SelfCheckError, match="--force") as caught:
        convert(source, tmp_path / "out", "int8")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    figures = convert(source, tmp_path / "out", "int8", force=True)
    assert not figures.passed
    manifest = json.loads((tmp_path / "out" / "galago.json").read_text())
    assert manifest["self_check"]["passed"] is False


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_judging(precision: str) -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((10, 32)).astype(np.float32)
    logits = 3 * rng.standard_normal((40, 500)).astype(np.float32)
    assert judge([(features, features)], [(logits, logits)], precision).passed
    turned = features.copy()
    turned[3] *= -1
    assert not judge([(features, turned)], [(logits, logits)], precision).passed
    other = 3 * rng.standard_normal((40, 500)).astype(np.float32)
    result = judge([(features, features)], [(logits, other)], precision)
    assert not result.passed and result.top1 < 0.2 and result.kl > 1
    assert "FAILED" in result.sentence() and "\n" not in result.sentence()
    broken = np.full_like(features, np.nan)
    assert not judge([(features, broken)], [(logits, logits)], precision).passed


def test_two_loaded_models_compared(source: Checkpoint, int8: Path) -> None:
    pixels = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
    prompts = [list(range(40, 80))]
    reference = load_sessions(source, "fp32")
    figures = compare(load_sessions(int8), reference, [pixels], prompts)
    assert figures.passed and figures.positions == 40
    assert figures.cosine_min < 1.0 and figures.kl > 0
    same_again = compare(reference, reference, [pixels], prompts)
    assert same_again.kl == 0 and same_again.top1 == 1.0


def test_undecided_positions_are_left_out() -> None:
    features = np.ones((1, 4), np.float32)
    tied = np.zeros((3, 100), np.float32)
    nudged = tied.copy()
    nudged[:, 7] = 1e-3
    result = judge([(features, features)], [(tied, nudged)], "int8")
    assert (result.positions, result.decided, result.passed) == (3, 0, True)


def spec(hidden: int, intermediate: int, layers: int, heads: int, kv: int) -> VLMSpec:
    from galago.specs import ImageSpec, PromptSpec, Qwen2Spec

    text = Qwen2Spec(hidden, intermediate, layers, heads, kv, 151936)
    side = ImageSpec(side=1024)
    return VLMSpec("m", "llava_qwen2", FASTVITHD, text, side, (1, 1), (), PromptSpec())


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((896, 4864, 24, 14, 2), "int8"),
        ((1536, 8960, 28, 12, 2), "int8"),
        ((3584, 18944, 28, 28, 4), "int4"),
        ((256, 512, 4, 4, 2), "fp32"),
    ],
)
def test_auto_precision(sizes: tuple[int, int, int, int, int], wanted: str) -> None:
    for native, vision in ((True, "bf16"), (False, "fp32")):
        plan = resolve_precision("auto", spec(*sizes), native_bf16=native)
        assert plan.language == wanted
        assert plan.vision == ("fp32" if wanted == "fp32" else vision)
        assert plan.group == 128


def test_precision_words() -> None:
    model = spec(896, 4864, 24, 14, 2)
    for word in ("fp32", "bf16", "int8", "int4"):
        plan = resolve_precision(word, model, native_bf16=False)
        assert plan.language == word
        assert plan.vision == ("bf16" if word == "bf16" else "fp32")
    with pytest.raises(OptionError, match="auto, fp32, bf16, int8, int4"):
        resolve_precision("fp16", model, native_bf16=True)
    assert PrecisionPlan("bf16", "int8").name == "int8-bf16"
    assert FULL_TEXT.head_dim == 64


def test_no_telemetry_is_loaded(tmp_path: Path) -> None:
    folder = tiny_llava(tmp_path / "tiny")
    code = (
        "import sys; from galago.convert.load import load_sessions;"
        f"load_sessions({str(folder)!r});"
        "bad = [m for m in sys.modules if 'telemetry' in m or m.startswith('openvino.tools')"
        " or m.split('.')[0] in ('nncf', 'torch')];"
        "print(bad)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
