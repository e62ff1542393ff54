"""Students from shards to a folder that galago opens (needs torch, open_clip and webdataset)."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("open_clip")
pytest.importorskip("webdataset")

from galago.clip.mobileclip import MobileCLIP  # noqa: E402
from galago.errors import OptionError, SelfCheckError  # noqa: E402
from galago.progress import silent  # noqa: E402
from galago.text.clip_tokens import load_clip_tokenizer  # noqa: E402
from galago.train.clip import train as train_module  # noqa: E402
from galago.train.clip.judge import judge  # noqa: E402
from galago.train.clip.learn import _Notes, _Run  # noqa: E402
from galago.train.clip.options import ClipOptions  # noqa: E402
from galago.train.clip.publish import prove, write_student  # noqa: E402
from galago.train.clip.students import new_student, published_student  # noqa: E402
from galago.train.clip.train import ClipJob, _Training, teaching, train_clip  # noqa: E402
from galago.train.tune.work import Work  # noqa: E402
from tests.helpers.places import TOP  # noqa: E402
from tests.helpers.reinforced import TINY, write_shards  # noqa: E402

OPTIONS = ClipOptions(batch=8, steps=6, warmup=2, workers=0, rate=3e-3)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("shards"), [12, 12])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def job(shards: Path, out: Path, tiny: str, **more: Any) -> ClipJob:
    return ClipJob(str(shards), out, more.pop("options", OPTIONS), tiny, **more)


def losses(folder: Path) -> list[float]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_a_student_learns_and_galago_opens_it(shards: Path, tiny: str, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, steps=40, batch=12)
    made = train_clip(job(shards, tmp_path / "out", tiny, options=options, held_out=str(shards)))
    assert made is not None and made.judged is not None
    found = losses(tmp_path / "out")
    assert len(found) == 40 and sum(found[-5:]) < 0.8 * sum(found[:5])
    assert made.judged.pictures == 24 and made.judged.captions == 4
    assert made.judged.top1 > 0.5  # of four colours
    assert min(made.proof) > 0.999
    assert MobileCLIP.load(tmp_path / "out").name == "out"
    assert "t0 (6 numbers), t1 (5 numbers), scales 20, 20" in (
        tmp_path / "out" / "README.md"
    ).read_text().replace("\n", " ")
    assert not (tmp_path / "out.work").exists()


def test_captions_are_read_to_the_end_of_the_longest_and_no_further(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    student = new_student(tiny).eval()
    said = ["!", "a photo of a cup", "two cups and what else stands on a table"]
    ids = torch.from_numpy(load_clip_tokenizer(student.spec.text.vocab)(said))
    seen: list[int] = []
    forward = student.text.forward
    with torch.inference_mode():
        whole = forward(ids)
        monkeypatch.setattr(
            student.text, "forward", lambda rows: (seen.append(rows.shape[1]), forward(rows))[1]
        )
        assert torch.allclose(student.text_rows(ids), whole, atol=1e-6)
        assert torch.allclose(student.text_rows(ids[:1]), whole[:1], atol=1e-6)
    assert seen == [int((ids[2] > 0).sum()), 3]
    assert student.text.attn_mask.shape[1] == ids.shape[1]  # every process must have the same


def test_stopped_behind_a_checkpoint_it_goes_on_with_the_same_losses(
    shards: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = job(shards, tmp_path / "whole", tiny)
    train_clip(whole)
    taken = _Run.take

    def stopping(run: _Run, batch: Any) -> None:
        if run.step == 4:
            raise RuntimeError("pulled the plug")
        taken(run, batch)

    monkeypatch.setattr(_Run, "take", stopping)
    monkeypatch.setattr(_Run, "due", lambda run: run.step == 3)
    stopped = job(shards, tmp_path / "stopped", tiny)
    with pytest.raises(RuntimeError, match="plug"):
        train_clip(stopped)
    monkeypatch.setattr(_Run, "take", taken)
    train_clip(stopped)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    same = [
        (tmp_path / n / "open_clip_model.safetensors").read_bytes() for n in ("whole", "stopped")
    ]
    assert same[0] == same[1]


def test_interrupted_it_ends_behind_a_step_and_goes_on(
    shards: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = _Run.take

    def interrupted(run: _Run, batch: Any) -> None:
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        taken(run, batch)

    monkeypatch.setattr(_Run, "take", interrupted)
    asked = job(shards, tmp_path / "out", tiny)
    with pytest.raises(KeyboardInterrupt):
        train_clip(asked)
    assert [path.name for path in (tmp_path / "out.work").glob("checkpoint-*")] == ["checkpoint-3"]
    monkeypatch.setattr(_Run, "take", taken)
    train_clip(asked)
    assert len(losses(tmp_path / "out")) == 6


def test_a_training_of_other_data_isnt_continued(
    shards: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "learn", stop)
    with pytest.raises(KeyboardInterrupt):
        train_clip(job(shards, tmp_path / "out", tiny))
    other = write_shards(tmp_path / "other", [5])
    with pytest.raises(OptionError, match="the data is other data: give the same"):
        train_clip(job(other, tmp_path / "out", tiny))
    changed = dataclasses.replace(OPTIONS, rate=1e-4)
    with pytest.raises(OptionError, match="--rate was 0.003 and is 0.0001"):
        train_clip(job(shards, tmp_path / "out", tiny, options=changed))
    larger = tmp_path / "tiny.toml"
    larger.write_text(TINY)
    with pytest.raises(KeyboardInterrupt):
        train_clip(job(shards, tmp_path / "large", str(larger)))
    larger.write_text(TINY.replace("embed = 32", "embed = 64"))
    with pytest.raises(OptionError, match="the model is another one"):
        train_clip(job(shards, tmp_path / "large", str(larger)))


def test_what_is_left_out_is_said_once_and_so_is_that_more_isnt() -> None:
    heard: list[str] = []
    notes = _Notes(lambda stage, _: heard.append(str(stage)))
    assert notes.told(["a", "b", "a"], 0.0) == ["a", "b"] and not notes.told(["b"], 0.0)
    many = [str(number) for number in range(200)]
    notes.told(many, 0.5)
    notes.told(["c"], 0.5)
    assert heard == ["a", "b", *many[:97], "what else is left out isn't told any more"]


@pytest.mark.slow
def test_what_every_process_leaves_out_is_told(tiny: str, tmp_path: Path) -> None:
    """Each of two processes reads a shard of its own, in which a picture can't be opened."""
    shards = write_shards(tmp_path / "shards", [4, 4], broken=(1, 6))
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
           "29515", "-m", "galago", "train-clip", str(shards), str(tmp_path / "out"), "--student",
           tiny, "--batch", "8", "--steps", "2", "--warmup", "1", "--workers", "0",
           "--precision", "fp32"]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(run, check=True, env=env, capture_output=True, text=True)
    told = " ".join(ran.stderr.split())
    for where in ("00000.tar:000000001", "00001.tar:000000006"):
        assert told.count(f"left out: {where}: the picture can't be opened") == 1, told


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tiny: str, tmp_path: Path) -> None:
    """Batch norms keep their statistics: a process's part of a batch has others."""
    one = write_shards(tmp_path / "one", [24])
    common = ["train-clip", str(one), "--student", tiny, "--batch", "8", "--steps", "4",
              "--warmup", "1", "--workers", "0", "--settled", "--precision", "fp32"]  # fmt: skip
    alone, together = str(tmp_path / "alone"), str(tmp_path / "together")
    env = {**os.environ, "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "galago", *common[:2], alone, *common[2:]]
    subprocess.run(command, check=True, env=env, capture_output=True)
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
           "29513", "-m", "galago", *common[:2], together, *common[2:]]  # fmt: skip
    subprocess.run(run, check=True, env=env, capture_output=True)
    found, wanted = losses(Path(together)), losses(Path(alone))
    assert len(found) == 4 and np.allclose(found, wanted, rtol=1e-5)


def test_what_a_loading_process_refuses_is_a_line(tiny: str, tmp_path: Path) -> None:
    mixed = write_shards(tmp_path / "mixed", [4])
    other = write_shards(tmp_path / "other", [4], dims=(6, 6))
    (other / "00000.tar").rename(mixed / "00001.tar")
    options = dataclasses.replace(OPTIONS, workers=1)
    with pytest.raises(OptionError, match="^00001.tar:.* 12 numbers, and the teachers 6 . 5"):
        train_clip(job(mixed, tmp_path / "out", tiny, options=options))
    assert not (tmp_path / "out").exists()


def test_how_teachers_count_is_told_or_stands_beside_the_shards(tmp_path: Path) -> None:
    bare = write_shards(tmp_path / "bare", [2], plan=False)
    told = write_shards(tmp_path / "told", [2])
    out = tmp_path / "out"
    assert teaching(ClipJob(str(told), out, OPTIONS), 11).scales == (20.0, 20.0)
    assert teaching(ClipJob(str(told), out, OPTIONS, scales=(7.0, 6.0)), 11).scales == (7.0, 6.0)
    own = ClipJob(str(bare), out, OPTIONS, dims=(6, 5), scales=(70.0, 60.0))
    assert teaching(own, 11).dims == (6, 5)
    for wrong, why in (
        (ClipJob(str(bare), out, OPTIONS), "give --dims and --scales"),
        (ClipJob(str(told), out, OPTIONS, scales=(1.0,)), "2 teachers and 1 scales"),
        (ClipJob(str(told), out, OPTIONS, dims=(6, 6)), "rows have 11 numbers, and the teachers 6"),
    ):
        with pytest.raises(OptionError, match=why):
            teaching(wrong, 11)


@pytest.mark.parametrize("wrong", ("MobileCLIP2-S9", "ViT-B-32", "missing.toml"))
def test_a_student_that_galago_wouldnt_run_is_refused(wrong: str) -> None:
    with pytest.raises(OptionError):
        new_student(wrong)


def test_a_folder_that_strays_from_what_was_trained_is_refused(tiny: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = new_student(tiny)
    write_student(student, tmp_path / "out", "out")
    assert min(prove(student, tmp_path / "out")) > 0.999
    with torch.no_grad():
        student.text.text_projection[:, ::2] *= -1  # type: ignore[union-attr, operator, index]
    with pytest.raises(SelfCheckError, match="strays from what was trained"):
        prove(student, tmp_path / "out")


@pytest.mark.slow
def test_a_student_of_open_clips_agrees_with_galago_and_begins_again(tmp_path: Path) -> None:
    """The smallest MobileCLIP2 in full size, random weights: written, compared, started from."""
    import open_clip

    torch.manual_seed(0)
    student = new_student("mobileclip2-s0")
    with torch.no_grad():  # norms as after a training
        for module in student.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.8, 1.2)
    folder = tmp_path / "MobileCLIP2-S0"
    write_student(student, folder, folder.name)
    assert min(prove(student, folder)) > 0.9999
    again = published_student(folder)
    ours, theirs = student.state_dict(), again.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())
    opened = open_clip.create_model(f"local-dir:{folder}")
    assert torch.equal(opened.state_dict()["logit_scale"], student.logit_scale)


def test_what_is_held_out_is_read_before_anything_is_learnt(
    shards: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galago.train.clip.reading.sleep", lambda _: None)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "00000.tar").write_bytes(b"no tar")
    for held in (str(tmp_path / "cut"), "pipe:false"):
        with pytest.raises(OptionError, match="no sample of 1 shards can be read"):
            train_clip(job(shards, tmp_path / "out", tiny, held_out=held))
    assert not (tmp_path / "out.work" / "training.jsonl").exists()


def test_offline_reads_no_shards_elsewhere(shards: Path, tiny: str, tmp_path: Path) -> None:
    for wrong in ({"held_out": "pipe:cat x.tar"}, {"shards": "http://localhost:1/0.tar"}):
        asked = dataclasses.replace(job(shards, tmp_path / "out", tiny, offline=True), **wrong)
        with pytest.raises(OptionError, match="elsewhere and --offline exclude each other"):
            train_clip(asked)


def test_a_student_that_says_the_same_of_everything_finds_nothing(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Collapsed:
        def embed_images(self, images: list[Any]) -> Any:
            return np.ones((len(images), 3), np.float32)

        embed_texts = embed_images

    monkeypatch.setattr(MobileCLIP, "load", lambda *_, **__: Collapsed())
    cut = (shards / "00000.tar").read_bytes()[:60_000]
    (tmp_path / "00000.tar").write_bytes(cut)
    notes: list[str] = []
    found = judge(tmp_path, [str(tmp_path / "00000.tar")], notes)
    assert found is not None and found.top1 == 0 and "00000.tar is cut short" in notes[0]


def test_one_sample_without_synthetic_captions_doesnt_end_them(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "shards", [4], captions=0)
    asked = ClipJob(str(folder), tmp_path / "out", OPTIONS)
    assert not _Training(asked, Work(tmp_path), silent).two
    plan = folder / "reinforce.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"captions": 5}))
    assert _Training(asked, Work(tmp_path), silent).two
