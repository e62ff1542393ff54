"""`galago pull`: fetched, converted, checked; bad models are one clear line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from galago.checkpoints.folders import CLIP_WEIGHTS
from galago.checkpoints.safetensors import SafetensorsFile
from galago.convert import kinds, vision8
from galago.convert.selfcheck import SelfCheck
from galago.convert.vision8 import BOUNDS, Vision8
from galago.engine.precision import PrecisionPlan
from galago.hub.resolve import resolve
from galago.places import cache_dir
from tests.helpers.checkpoints import write_safetensors
from tests.helpers.commandline import run
from tests.helpers.hub_server import Hub, clip_repository, connect, online_hub, vlm_repository
from tests.helpers.running import unchecked

Capture = pytest.CaptureFixture[str]
NAME = "apple/FastVLM-0.5B"
CLIP = "timm/MobileCLIP2-S0-OpenCLIP"


@pytest.fixture(autouse=True)
def bytes_not_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the processor: vision in 8 bits isn't tried."""
    monkeypatch.setattr("galago.engine.processor.multiplies_bytes", lambda: False)


@pytest.fixture
def online(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a FastVLM, and a client that may ask it."""
    source = vlm_repository(tiny, tmp_path / "repository")
    with online_hub(NAME, source, monkeypatch) as served:
        yield served


@pytest.fixture
def clips(
    clip_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Hub]:
    """A hub with a MobileCLIP, and a client that may ask it."""
    source = clip_repository(clip_folder, tmp_path / "repository")
    with online_hub(getattr(request, "param", CLIP), source, monkeypatch) as served:
        yield served


def test_pull_converts_once(
    capsys: Capture, online: Hub, clean_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(capsys, "pull", NAME, "--precision", "int8")
    assert first.code == 0 and "apple-amlr" in first.err and "self-check passed" in first.err
    folder = Path(first.out.strip())
    assert folder.is_relative_to(clean_world) and "int8" in folder.name
    stamp = (folder / "galago.json").stat().st_mtime_ns
    again = run(capsys, "pull", NAME, "--precision", "int8")
    assert first.err.count("self-check") == again.err.count("self-check") == 1
    assert again.out == first.out and (folder / "galago.json").stat().st_mtime_ns == stamp
    assert "int8" in run(capsys, "models").out
    unchecked(monkeypatch)
    forced = run(capsys, "pull", NAME, "--precision", "int8", "--force")
    assert forced.out == first.out and (folder / "galago.json").stat().st_mtime_ns != stamp


@pytest.mark.parametrize("clips", [CLIP, "somebody/my-clip"], indirect=True)
def test_pull_fetches_and_checks(clips: Hub, capsys: Capture) -> None:
    for _ in range(2):
        pulled = run(capsys, "pull", clips.repo, "--precision", "int8")
        assert pulled.code == 0 and Path(pulled.out.strip()) == resolve(clips.repo).folder
        assert "is whole" in pulled.err and "no conversion" in pulled.err
        assert "--precision" in pulled.err, "an option that does nothing is told"
    assert len([name for name in clips.fetched if name.startswith(CLIP_WEIGHTS)]) == 1
    if clips.repo == CLIP:
        lines = run(capsys, "models").out.splitlines()
        (line,) = [line.split() for line in lines if line.startswith(CLIP)]
        assert line[1:4] == ["*", "mobileclip", "fetched"]  # the best here by now
        records = map(json.loads, run(capsys, "models", "--json").out.splitlines())
        assert {r["model"]: r["kind"] for r in records}[CLIP] == "mobileclip"


def test_pull_says_what_is_missing(clips: Hub, capsys: Capture) -> None:
    stored = SafetensorsFile(clips.folder / CLIP_WEIGHTS).tensors
    arrays = {n: t.read().copy() for n, t in stored.items() if n != "text.ln_final.weight"}
    write_safetensors(clips.folder / CLIP_WEIGHTS, arrays, "F32")
    pulled = run(capsys, "pull", CLIP)
    assert pulled.code == 2 and "lacks the tensor text.ln_final.weight" in pulled.line


def test_pull_offline(capsys: Capture) -> None:
    assert "galago is offline" in run(capsys, "pull", "MobileCLIP2-S4").line


def test_no_network(capsys: Capture, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect("http://127.0.0.1:9", monkeypatch)
    result = run(capsys, "pull", NAME)
    assert result.code == 2 and "check the network" in result.line
    result = run(capsys, "describe", picture, "-m", NAME)
    assert result.code == 2 and result.out == "" and "check the network" in result.line


# -- bad models ------------------------------------------------------------------------------------


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny, folder)
    return folder


def _edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def _drop(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Rewrite the header of the weights."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _reshape(header: dict[str, object]) -> None:
    entry = header["model.norm.weight"]
    assert isinstance(entry, dict)
    entry["shape"] = [entry["shape"][0] // 2, 2]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config not JSON": (lambda f: (f / "config.json").write_text("{"), "config.json"),
    "unknown model_type": (lambda f: _edit(f, model_type="llama"), "llama"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
    "weights cut off": (_cut, "model.safetensors"),
    "weights are text": (lambda f: (f / "model.safetensors").write_text("hi"), "safetensors"),
    "tensor missing": (
        lambda f: _drop(f, lambda h: h.pop("model.norm.weight")),
        "model.norm.weight",
    ),
    "tensor of another shape": (lambda f: _drop(f, _reshape), "model.norm.weight"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
}


@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("verb", ["describe", "pull"])
def test_damaged_models(capsys: Capture, broken: Path, picture: Path, case: str, verb: str) -> None:
    damage, said = DAMAGE[case]
    damage(broken)
    command = ["pull", broken] if verb == "pull" else ["describe", picture, "-m", broken]
    result = run(capsys, *command)
    if case == "no tokenizer" and verb == "pull" and result.code == 0:
        pytest.skip("the tokenizer is opened when the model answers")
    assert result.code == 2 and said in result.line
    if verb == "pull":
        assert result.out == "" and not kept()


def kept() -> list[Path]:
    """What is in the cache of conversions, hidden and half-made things included."""
    return list((cache_dir() / "converted").glob("*"))


def test_unknown_model_type_says_what_is_read(capsys: Capture, broken: Path) -> None:
    _edit(broken, model_type="llama")
    assert "llava_qwen2" in run(capsys, "pull", broken).line


def test_a_name_that_does_not_exist(capsys: Capture, picture: Path) -> None:
    result = run(capsys, "describe", picture, "-m", "fastvlm-nanno")
    assert result.code == 2 and "did you mean fastvlm-nano?" in result.line


@pytest.fixture
def bytes_multiplied(bytes_not_multiplied: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.engine.processor.multiplies_bytes", lambda: True)


def tried(passed: bool, narrow: float) -> Vision8:
    check = SelfCheck(0.9971, 0.985, 0.991, 0.008, 512, 480, passed, BOUNDS)
    return Vision8(check, 32, 0.6, narrow, "int8-int8")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (tried(True, 0.3), f"it looks 2.0 times as fast here (0.600 s to 0.300 s a picture): "
         f"galago pull {NAME} --precision int8-int8"),
        (tried(True, 0.7), "gains nothing here"),
        (tried(False, 0.3), "strays on these weights"),
    ],
)  # fmt: skip
def test_pull_tries_vision_in_8_bits_where_it_may_gain(
    capsys: Capture,
    online: Hub,
    bytes_multiplied: None,
    monkeypatch: pytest.MonkeyPatch,
    found: Vision8,
    told: str,
) -> None:
    asked: list[str] = []

    def check(source: object, tensors: object, plan: PrecisionPlan, progress: object) -> Vision8:
        asked.append(plan.name)
        return found

    monkeypatch.setattr("galago.convert.vision8.check_vision8", check)
    result = run(capsys, "pull", NAME, "--precision", "int8")
    assert result.code == 0 and told in result.err
    assert ("--precision int8-int8" in result.err) == (found.check.passed and found.gain > 1)
    assert f"galago evaluate precision {NAME}" in result.err and len(asked) == 1
    again = run(capsys, "pull", NAME, "--precision", "int8")
    assert again.out == result.out and len(asked) == 1 and "8 bits" not in again.err
    run(capsys, "pull", NAME, "--precision", "fp32")  # has no pair with vision in 8 bits
    assert len(asked) == 1


def test_pull_looks_by_itself(
    capsys: Capture, online: Hub, bytes_multiplied: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = list(islice(kinds.pictures(), 2))
    monkeypatch.setattr(vision8, "pictures", lambda: iter(few))
    result = run(capsys, "pull", NAME, "--precision", "int8")
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if line.startswith("vision in 8 bits ")]
    assert re.search(
        r"cosine 0\.\d{4} \(least .*, next tokens .* KL .* on 2 pictures of many ", line
    )
    holds = " holds on these weights" in line
    assert holds or line.endswith("; left as it is")
    assert ("--precision int8-int8" in line) == (holds and "times as fast here" in line)


def test_pull_doesnt_where_bytes_gain_nothing(capsys: Capture, online: Hub) -> None:
    result = run(capsys, "pull", NAME, "--precision", "int8")
    assert result.code == 0 and "8 bits" not in result.err


def test_a_skipped_trial_leaves_the_conversion(
    capsys: Capture, online: Hub, bytes_multiplied: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object) -> Vision8:
        raise KeyboardInterrupt

    monkeypatch.setattr("galago.convert.vision8.check_vision8", check)
    result = run(capsys, "pull", NAME, "--precision", "int8")
    assert result.code == 0 and "skipped; the conversion is whole" in result.err
    assert Path(result.out.strip()).is_dir()
