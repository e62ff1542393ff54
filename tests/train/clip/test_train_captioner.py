"""A CoCa fine-tuned, stopped, continued, and opened again (needs torch, open_clip, webdataset)."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("open_clip")
pytest.importorskip("webdataset")

from galago.errors import CheckpointError, OptionError, SelfCheckError  # noqa: E402
from galago.train.clip.captioned import read_captioned  # noqa: E402
from galago.train.clip.captioners import load_captioner  # noqa: E402
from galago.train.clip.coca import load_coca, same_coca, write_coca  # noqa: E402
from galago.train.clip.learn import _Run  # noqa: E402
from galago.train.clip.options import ClipOptions  # noqa: E402
from galago.train.clip.shards import SampleError  # noqa: E402
from galago.train.clip.train_captioner import CaptionerJob, train_captioner  # noqa: E402
from tests.helpers.captioners import write_config  # noqa: E402
from tests.helpers.places import TOP  # noqa: E402
from tests.helpers.reinforced import COLOURS, write_shards  # noqa: E402

OPTIONS = ClipOptions(batch=6, steps=4, warmup=1, workers=0, rate=3e-3, precision="fp32")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_shards(tmp_path_factory.mktemp("shards"), [12]))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_config(tmp_path_factory.mktemp("config")))


def losses(folder: Path, name: str = "loss") -> list[float]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [json.loads(line)[name] for line in lines]


def test_a_captioner_learns_and_reinforce_opens_it(shards: str, tiny: str, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, steps=40, batch=12, rate=2e-2)
    made = train_captioner(CaptionerJob(tiny, shards, tmp_path / "out", options, held_out=shards))
    assert made is not None and made.before is not None and made.after is not None
    found, parts = losses(made.folder), losses(made.folder, "caption")
    assert len(found) == 40 and sum(found[-5:]) < 0.5 * sum(found[:5])
    assert found[0] == pytest.approx(2 * parts[0] + losses(made.folder, "contrastive")[0])
    assert made.before.pictures == 12 and made.before.caption > 8  # of 49,408 tokens: 10.8
    assert made.after.caption < 0.3 * made.before.caption
    assert made.strays < 1e-4 and not (tmp_path / "out.work").exists()
    drawn = load_captioner(str(made.folder)).captions(Image.new("RGB", (40, 40), "red"), 8, 1)
    said = " ".join(drawn).split()  # of 49,408 tokens, six were taught
    assert sum(word in ("a", "disc", *COLOURS) for word in said) > len(said) / 2, drawn


def test_stopped_behind_a_checkpoint_it_goes_on_with_the_same_losses(
    shards: str, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_captioner(CaptionerJob(tiny, shards, tmp_path / "whole", OPTIONS))
    taken = _Run.take

    def stopping(run: _Run, batch: Any) -> None:
        if run.step == 3:
            raise RuntimeError("pulled the plug")
        if run.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        taken(run, batch)

    monkeypatch.setattr(_Run, "take", stopping)
    job = CaptionerJob(tiny, shards, tmp_path / "stopped", OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        train_captioner(job)
    kept = tmp_path / "stopped.work"
    assert [path.name for path in kept.glob("checkpoint-*")] == ["checkpoint-2"]
    with pytest.raises(RuntimeError, match="plug"):
        train_captioner(job)
    monkeypatch.setattr(_Run, "take", taken)
    train_captioner(job)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    same = [
        (tmp_path / n / "open_clip_model.safetensors").read_bytes() for n in ("whole", "stopped")
    ]
    assert same[0] == same[1]


def test_a_captioner_begins_with_a_folders_weights_or_a_file_of_torchs(
    tiny: str, tmp_path: Path
) -> None:
    coca, again = load_coca(tiny), load_coca(tiny).model.state_dict()
    assert all(torch.equal(again[n], t) for n, t in coca.model.state_dict().items())
    spread = float(coca.model.text_decoder.text_projection.detach().std())
    assert spread == pytest.approx(32**-0.5, rel=0.01)
    with torch.no_grad():
        coca.model.logit_scale.fill_(1.5)
    write_coca(coca, tmp_path / "folder")
    assert same_coca(coca, tmp_path / "folder") < 1e-5
    assert float(load_coca(str(tmp_path / "folder")).model.logit_scale.detach()) == 1.5
    torch.save(coca.model.state_dict(), tmp_path / "weights.pt")
    opened = load_coca(f"open_clip:{Path(tiny).stem}:{tmp_path / 'weights.pt'}")
    assert all(
        torch.equal(opened.model.state_dict()[n], t) for n, t in coca.model.state_dict().items()
    )
    with torch.no_grad():
        coca.model.text.text_projection.mul_(-1)
    with pytest.raises(SelfCheckError, match="strays from what was trained"):
        same_coca(coca, tmp_path / "folder")


def test_the_seed_draws_new_weights_and_nothing_else(
    shards: str, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    held = [load_coca(tiny, seed=seed).model.state_dict() for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    drawn = ("text_decoder.text_projection", "text.token_embedding.weight", "visual.proj")
    for name in drawn:
        assert torch.equal(held[0][name], held[1][name])
        assert not torch.equal(held[0][name], held[2][name])
    begun: list[Any] = []
    monkeypatch.setattr(
        "galago.train.clip.train_captioner.learn", lambda pupil, *_: begun.append(pupil) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        options = dataclasses.replace(OPTIONS, seed=4)
        train_captioner(CaptionerJob(tiny, shards, tmp_path / "out", options))
    found = begun[0].coca.model.state_dict()
    assert all(torch.equal(found[name], held[2][name]) for name in drawn)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harmed",)


def test_what_a_folder_holds_is_never_run(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    coca = load_coca(tiny)
    write_coca(coca, tmp_path / "bad")
    config = json.loads((tmp_path / "bad" / "open_clip_config.json").read_text())
    for change, told in (
        ({"tokenizer_kwargs": {"trust_remote_code": True}}, "tokenizer_kwargs are others"),
        ({"hf_model_name": "some/body"}, "would be fetched"),
        ({"hf_tokenizer_name": "some/body"}, "by a model of transformers"),
    ):
        changed = config["model_cfg"] | {"text_cfg": config["model_cfg"]["text_cfg"] | change}
        (tmp_path / "bad" / "open_clip_config.json").write_text(json.dumps({"model_cfg": changed}))
        with pytest.raises(OptionError, match=told):
            load_captioner("bad")
    (tmp_path / "bad" / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / "bad" / "open_clip_model.safetensors").unlink()
    torch.save({"x": Harmful()}, tmp_path / "bad" / "open_clip_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no such file: .*open_clip_model.safetensors"):
        load_captioner("bad")
    with pytest.raises(CheckpointError):
        load_captioner(f"open_clip:{Path(tiny).stem}:bad/open_clip_pytorch_model.bin")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "held, told",
    [
        ({"txt": b"words"}, "it has no picture"),
        ({"jpg": b"x"}, "it has no caption"),
        ({"jpg": b"x", "txt": b" \n"}, "it has no caption"),
        ({"jpg": b"x", "txt": b"\xff"}, "no UTF-8"),
    ],
)
def test_a_sample_that_isnt_captioned_is_told(held: dict[str, bytes], told: str) -> None:
    with pytest.raises(SampleError, match=f"a.tar:7: .*{told}"):
        read_captioned(held, "7", "a.tar")


def test_what_is_damaged_is_left_out_and_what_is_cut_is_told(tiny: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (30, 30), "red").save(stream, "png")
    parts = {"0.png": stream.getvalue(), "0.txt": b"red " * 100, "1.png": b"no", "1.txt": b"red"}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    told: list[str] = []
    options = dataclasses.replace(OPTIONS, batch=2, steps=1)
    job = CaptionerJob(tiny, str(tmp_path / "a.tar"), tmp_path / "out", options)
    train_captioner(job, lambda stage, _: told.append(str(stage)))
    assert "captions of more than 14 tokens are cut there" in told
    assert any(line.startswith("left out: a.tar:1: the picture can't be opened") for line in told)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tiny: str, shards: str, tmp_path: Path) -> None:
    """All captions here have as many tokens: of others each process's mean counts as much."""
    common = ["train-clip", shards, "--captioner", tiny, "--batch", "4", "--steps", "3", "--warmup",
              "1", "--workers", "0", "--precision", "fp32", "--rate", "1e-3"]  # fmt: skip
    alone, together = str(tmp_path / "alone"), str(tmp_path / "together")
    env = {**os.environ, "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "galago", *common[:2], alone, *common[2:]]
    subprocess.run(command, check=True, env=env, capture_output=True)
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
           "29514", "-m", "galago", *common[:2], together, *common[2:]]  # fmt: skip
    subprocess.run(run, check=True, env=env, capture_output=True)
    found, wanted = losses(Path(together)), losses(Path(alone))
    assert len(found) == 3 and np.allclose(found, wanted, rtol=1e-5)
