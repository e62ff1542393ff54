"""MobileCLIP by name: found, fetched, told from FastVLM; Apple's .pt files of both generations."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from galago import catalog, specs
from galago.checkpoints import clip as clip_checkpoint
from galago.checkpoints.clip import ClipCheckpoint, open_clip_checkpoint
from galago.checkpoints.clip_config import FIRST, SECOND
from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.first_mobileclip import to_open_clip
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
from galago.checkpoints.names import timm_to_llava
from galago.checkpoints.safetensors import SafetensorsFile
from galago.checkpoints.tensors import InMemory
from galago.clip.mobileclip import MobileCLIP
from galago.convert import store
from galago.engine.clip_sessions import TextTower
from galago.errors import (
    CheckpointError,
    HubError,
    ModelError,
    OfflineError,
    OptionError,
)
from galago.hub.resolve import local, resolve
from galago.places import cache_dir
from galago.specs import ClipSpec
from tests.checkpoints import (
    TINY_MCI,
    Arrays,
    clip_tensors,
    random_array,
    tiny_clip,
    write_pt,
    write_safetensors,
)
from tests.commandline import run
from tests.hub_server import Hub, connect

Capture = pytest.CaptureFixture[str]
NAME = "timm/MobileCLIP2-S0-OpenCLIP"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "mine")


@pytest.fixture
def online(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Hub]:
    """A hub with one repository: a MobileCLIP, and things that must stay there."""
    source = tmp_path / "repository"
    shutil.copytree(folder, source)
    for name in ("config.json", "tokenizer.json", "README.md", "code.py", "LICENSE"):
        (source / name).write_text("{}")
    (source / "open_clip_pytorch_model.bin").write_bytes(b"never fetched")
    (source / "other.pt").write_bytes(b"never fetched")
    with Hub(getattr(request, "param", NAME), source).serving() as served:
        connect(served.url, monkeypatch)
        yield served


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> ClipSpec:
    """Every published model in the shapes of a tiny one; returns these."""
    text = specs.ClipTextSpec(32, 2, 1, causal=False)
    tiny = dataclasses.replace(SECOND[0], vision=TINY_MCI, text=text, embed=16)
    shrunk = {
        name: tuple(
            dataclasses.replace(tiny, name=spec.name) for spec in getattr(clip_checkpoint, name)
        )
        for name in ("FIRST", "PUBLISHED")
    }
    for name, models in shrunk.items():
        monkeypatch.setattr(clip_checkpoint, name, models)
    return tiny


# -- by name ---------------------------------------------------------------------------------------


def test_a_short_name_fetches_weights_and_configuration_only(online: Hub, folder: Path) -> None:
    stages: list[str] = []
    clip = MobileCLIP.load("mobileclip2-s0", progress=lambda stage, share: stages.append(stage))
    found = resolve(NAME)
    assert clip.name == NAME == found.name and found.kind == "mobileclip"
    assert {path.name for path in found.folder.iterdir()} == {CLIP_CONFIG, CLIP_WEIGHTS, "LICENSE"}
    assert any("apple-amlr" in stage and "research" in stage for stage in stages)
    asked = len(online.asked)
    again = MobileCLIP.load("MobileCLIP2-S0", offline=True)
    assert len(online.asked) == asked
    same = MobileCLIP.load(folder).embed_texts(["a dog"])
    assert np.array_equal(again.embed_texts(["a dog"]), same)


def test_a_broken_download_goes_on_where_it_stopped(online: Hub) -> None:
    online.break_after = [150_000, *[0] * 6]
    with pytest.raises(HubError, match="goes on where it stopped"):
        MobileCLIP.load(NAME)
    assert local(NAME) is None
    online.break_after = []
    MobileCLIP.load(NAME)
    offsets = [int(f.split("@")[1]) for f in online.fetched if f.startswith(CLIP_WEIGHTS)]
    assert offsets[0] == 0 and offsets[-1] > 0


@pytest.mark.parametrize("online", ["somebody/my-clip"], indirect=True)
def test_any_repository_in_the_open_clip_layout(online: Hub) -> None:
    clip = MobileCLIP.load("somebody/my-clip")
    assert clip.name == "somebody/my-clip"
    assert not any(name.startswith("other.pt") for name in online.fetched)
    (online.folder / CLIP_CONFIG).unlink()
    shutil.rmtree(cache_dir())
    with pytest.raises(HubError, match="can't open it"):
        MobileCLIP.load("somebody/my-clip")
    assert not any(name.startswith("other.pt") for name in online.fetched)


@pytest.mark.parametrize("online", ["apple/MobileCLIP2-S0"], indirect=True)
def test_a_pickle_of_the_catalogue_is_fetched_alone(online: Hub, small_models: ClipSpec) -> None:
    arrays = clip_tensors(small_models)
    write_pt(online.folder / "mobileclip2_s0.pt", arrays)
    clip = MobileCLIP.load("apple/MobileCLIP2-S0")
    assert {name.split("@")[0] for name in online.fetched} == {"mobileclip2_s0.pt", "LICENSE"}
    assert clip.name == "apple/MobileCLIP2-S0" and clip.embed_texts(["a dog"]).shape == (1, 16)


def test_a_copy_in_the_hub_clients_cache_is_used(folder: Path, clean_world: Path) -> None:
    cache = clean_world / "hf/hub"
    shutil.copytree(folder, cache / "models--timm--MobileCLIP2-S0-OpenCLIP/snapshots/abc")
    assert MobileCLIP.load("MobileCLIP2-S0").name == NAME
    (cache / "models--timm--MobileCLIP2-S0-OpenCLIP/snapshots/abc" / CLIP_CONFIG).unlink()
    with pytest.raises(OfflineError, match=f"galago pull {NAME}"):
        MobileCLIP.load("MobileCLIP2-S0")


def test_options_are_looked_at_before_anything_is_fetched() -> None:
    with pytest.raises(OptionError, match="fp32, bf16, int8"):
        MobileCLIP.load("MobileCLIP2-S0", precision="int4")
    with pytest.raises(OptionError, match="threads"):
        MobileCLIP.load("MobileCLIP2-S0", threads=0)


# -- kinds -----------------------------------------------------------------------------------------


def test_each_kind_of_model_where_it_belongs(folder: Path, tiny: Path, capsys: Capture) -> None:
    for other in ("fastvlm-nano", "FastVLM-7B", tiny):
        with pytest.raises(ModelError, match="answers questions about pictures"):
            MobileCLIP.load(other)
    for other in ("MobileCLIP2-S0", folder):
        with pytest.raises(ModelError, match="finds and labels pictures"):
            store.prepare(other)
    for verb in ("describe", "chat"):
        shown = run(capsys, verb, "examples/note.png", "-m", "MobileCLIP2-S0")
        assert shown.code == 2 and "galago classify" in shown.line


@pytest.mark.parametrize("online", ["somebody/my-clip"], indirect=True)
def test_what_was_fetched_tells_its_kind(online: Hub) -> None:
    with pytest.raises(ModelError, match="finds and labels pictures"):
        store.prepare("somebody/my-clip")


def test_a_name_wins_over_a_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "MobileCLIP2-S0")
    with pytest.raises(OfflineError, match=r"write \./MobileCLIP2-S0 for the folder"):
        MobileCLIP.load("MobileCLIP2-S0")
    assert MobileCLIP.load("./MobileCLIP2-S0").name == "tiny-clip"


def test_a_row_makes_a_folder_of_the_package_a_model(
    folder: Path, capsys: Capture, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dataclasses.replace(catalog.lookup("MobileCLIP2-S0"), name="my-nano", repo=None)
    others = tuple(r for r in catalog.MODELS if r.name not in (catalog.DEFAULT_CLIP, NAME))
    monkeypatch.setattr(catalog, "MODELS", (*others, dataclasses.replace(row, aliases=())))
    monkeypatch.setattr(catalog.Model, "folder", folder)
    monkeypatch.setattr("galago.hub.resolve.fetch", None)
    shown = run(capsys, "classify", picture, "--labels", "a,b", "-m", "my-nano", "--json")
    assert json.loads(shown.out)["model"] == "my-nano"
    assert "comes with galago" in run(capsys, "pull", "my-nano").err
    assert run(capsys, "models").out.splitlines()[-1].split()[:3] == [
        "my-nano",
        "mobileclip",
        "embedded",
    ]


# -- galago pull and galago models -----------------------------------------------------------------


@pytest.mark.parametrize("online", [NAME, "somebody/my-clip"], indirect=True)
def test_pull_fetches_and_checks(online: Hub, capsys: Capture) -> None:
    for _ in range(2):
        pulled = run(capsys, "pull", online.repo, "--precision", "int8")
        assert pulled.code == 0 and Path(pulled.out.strip()) == resolve(online.repo).folder
        assert "is whole" in pulled.err and "no conversion" in pulled.err
        assert "--precision" in pulled.err, "an option that does nothing is told"
    assert len([name for name in online.fetched if name.startswith(CLIP_WEIGHTS)]) == 1
    if online.repo == NAME:
        lines = run(capsys, "models").out.splitlines()
        (line,) = [line.split() for line in lines if line.startswith(NAME)]
        assert line[1:3] == ["mobileclip", "fetched"]
        records = map(json.loads, run(capsys, "models", "--json").out.splitlines())
        assert {r["model"]: r["kind"] for r in records}[NAME] == "mobileclip"


def test_pull_says_what_is_missing(online: Hub, capsys: Capture) -> None:
    stored = SafetensorsFile(online.folder / CLIP_WEIGHTS).tensors
    arrays = {n: t.read().copy() for n, t in stored.items() if n != "text.ln_final.weight"}
    write_safetensors(online.folder / CLIP_WEIGHTS, arrays, "F32")
    pulled = run(capsys, "pull", NAME)
    assert pulled.code == 2 and "lacks the tensor text.ln_final.weight" in pulled.line


def test_pull_offline(capsys: Capture) -> None:
    assert "galago is offline" in run(capsys, "pull", "MobileCLIP2-S4").line


# -- Apple's .pt files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mobileclip2_s2.pt", "MobileCLIP2-S2"),
        ("mobileclip_s2.pt", "MobileCLIP-S2"),
        ("mobileclip_blt.pt", "MobileCLIP-B-LT"),
        ("mobileclip2_l14.pt", "MobileCLIP2-L-14"),
        ("renamed.pt", "MobileCLIP2-S0"),
    ],
)
def test_the_name_of_the_file_tells_equal_shapes_apart(
    file: str, name: str, tmp_path: Path, small_models: ClipSpec
) -> None:
    path = write_pt(tmp_path / file, clip_tensors(small_models))
    assert open_clip_checkpoint(path).spec.name == name
    assert MobileCLIP.load(tmp_path).name == name


def test_a_deeper_model_is_not_taken_for_the_one_inside_of_it(
    tmp_path: Path, small_models: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of S0's trunk (2, 6, 10, 2 blocks) has its like in S1's (4, 12, 20, 4)."""
    deep = dataclasses.replace(TINY_MCI, depths=(2, 2, 2, 2))
    models = (small_models, dataclasses.replace(small_models, name="deep", vision=deep))
    monkeypatch.setattr(clip_checkpoint, "PUBLISHED", models)
    path = write_pt(tmp_path / "mobileclip2_s0.pt", clip_tensors(models[1]))
    assert open_clip_checkpoint(path).spec.name == "deep"


def first_names(spec: ClipSpec) -> Arrays:
    """Random tensors as the files of the first MobileCLIP name them."""
    rng = np.random.default_rng(3)
    found = {}
    for name, shape in clip_shapes(spec).items():
        array = np.float32(3) if name == "logit_scale" else random_array(rng, name, shape)
        if "head" in name:
            continue
        if name in ("text.positional_embedding", "visual.trunk.pos_embed"):
            array = array.reshape(1, 1, *shape[-2:])
        found[first_name(name)] = np.asarray(array)
    part = "head" if isinstance(spec.vision, specs.FastViTSpec) else "classifier"
    projection = random_array(rng, "proj", (spec.vision.features, spec.embed))
    return found | {f"image_encoder.model.{part}.proj": projection}


BLOCK = {
    "ln_1": "pre_norm_mha.0", "norm1": "pre_norm_mha.0", "attn.in_proj": "pre_norm_mha.1.qkv_proj",
    "attn.qkv": "pre_norm_mha.1.qkv_proj", "attn.out_proj": "pre_norm_mha.1.out_proj",
    "attn.proj": "pre_norm_mha.1.out_proj", "ln_2": "pre_norm_ffn.0", "norm2": "pre_norm_ffn.0",
    "mlp.c_fc": "pre_norm_ffn.1", "mlp.fc1": "pre_norm_ffn.1", "mlp.c_proj": "pre_norm_ffn.4",
    "mlp.fc2": "pre_norm_ffn.4",
}  # fmt: skip


def first_name(name: str) -> str:
    """open_clip's name of a fused tensor -> apple/ml-mobileclip's."""
    if match := re.fullmatch(r"(.*(?:resblocks|blocks)\.\d+)\.(.+)\.(\w+)", name):
        stem, part, end = match.groups()
        if part in BLOCK and "stages" not in stem:
            prefix = "text_encoder" if "text." in stem else "image_encoder.model"
            return f"{prefix}.transformer.{stem.rpartition('.')[2]}.{BLOCK[part]}.{end}"
    if name.startswith("text."):
        rest = name.removeprefix("text.").replace("transformer.resblocks.", "transformer.")
        rest = rest.replace("token_embedding.", "embedding_layer.")
        rest = rest.replace("positional_embedding", "positional_embedding.pos_embed.pos_embed")
        rest = rest.replace("ln_final.", "final_layer_norm.")
        return "text_encoder." + rest.replace("text_projection", "projection_layer")
    trunk = name.removeprefix("visual.trunk.")
    if trunk == name:
        return name
    rest = timm_to_llava(trunk, TINY_MCI)
    rest = re.sub(r"^patch_embed\.backbone\.(\d)\.conv\.", r"patch_emb.\1.block.conv.", rest)
    rest = re.sub(r"^patch_embed\.backbone\.(\d)\.bn\.", r"patch_emb.\1.block.norm.", rest)
    rest = re.sub(r"^pos_embed$", "pos_embed.pos_embed.pos_embed", rest)
    return "image_encoder.model." + re.sub(r"^norm\.", "post_transformer_norm.", rest)


VIT = specs.ViTSpec(32, 1, 2, 16, stem="conv", class_position=False)
WORDS = specs.ClipTextSpec(32, 2, 1, causal=False)


@pytest.mark.parametrize(
    "spec",
    [
        dataclasses.replace(FIRST[1], vision=TINY_MCI, text=WORDS, embed=16),
        dataclasses.replace(
            FIRST[3], vision=VIT, text=dataclasses.replace(WORDS, causal=True), embed=16
        ),
        dataclasses.replace(
            FIRST[0], vision=TINY_MCI, text=dataclasses.replace(WORDS, mixers=True), embed=16
        ),
    ],
    ids=lambda spec: spec.name,
)
def test_the_first_generation_has_names_of_its_own(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_checkpoint, "FIRST", (spec,))
    arrays = first_names(spec)
    checkpoint = open_clip_checkpoint(write_pt(tmp_path / "mobileclip.pt", arrays))
    assert checkpoint.spec == spec and set(checkpoint.tensors) == set(clip_shapes(spec))
    (turned,) = [a for name, a in arrays.items() if re.search(r"(head|classifier)\.proj$", name)]
    (head,) = [t for name, t in checkpoint.tensors.items() if re.search(r"head.*weight$", name)]
    assert np.array_equal(head.read(), turned.T)
    clip = MobileCLIP(checkpoint, precision="fp32")
    assert np.isfinite(clip.embed_texts(["a dog"])).all()
    assert clip.embed_images([np.zeros((80, 90, 3), np.uint8)]).shape == (1, 16)


def test_branches_of_the_first_generation() -> None:
    renamed = {
        "patch_embed.0.rbr_conv.0.conv.weight": "stem.0.conv_kxk.0.conv.weight",
        "patch_embed.2.rbr_skip.bias": "stem.2.identity.bias",
        "network.0.1.token_mixer.layer_scale": "stages.0.blocks.1.token_mixer.layer_scale.gamma",
        "network.0.1.layer_scale": "stages.0.blocks.1.layer_scale.gamma",
        "network.2.0.token_mixer.norm.rbr_skip.weight":
            "stages.1.blocks.0.token_mixer.norm.identity.weight",
        "network.3.proj.0.lkb_origin.bn.bias": "stages.2.downsample.proj.0.large_conv.bn.bias",
        "network.5.proj.0.se.reduce.weight": "stages.3.downsample.proj.0.se.fc1.weight",
        "network.6.pe.weight": "stages.3.pos_emb.pos_enc.weight",
        "network.7.1.convffn.fc1.weight": "stages.3.blocks.1.mlp.fc1.weight",
        "network.7.1.layer_scale_2": "stages.3.blocks.1.layer_scale_2.gamma",
        "conv_exp.rbr_scale.conv.weight": "final_conv.conv_scale.conv.weight",
    }  # fmt: skip
    nothing = SafetensorsFile.__new__(SafetensorsFile)  # only names are looked at
    found = to_open_clip({f"image_encoder.model.{name}": nothing for name in renamed})  # type: ignore[misc]
    assert list(found) == [f"visual.trunk.{name}" for name in renamed.values()]


def test_a_tensor_of_no_known_trunk() -> None:
    nothing = SafetensorsFile.__new__(SafetensorsFile)
    with pytest.raises(CheckpointError, match=r"network\.9"):
        to_open_clip({"image_encoder.model.network.9.0.convffn.fc1.weight": nothing})  # type: ignore[dict-item]


def test_the_convolutions_over_tokens() -> None:
    """A text tower of two convolutional blocks and nothing between, beside plain numpy."""
    text = specs.ClipTextSpec(16, 2, 0, causal=False, context=20, vocab=600, mixers=True)
    spec = dataclasses.replace(FIRST[0], vision=TINY_MCI, text=text, embed=16)
    checkpoint = ClipCheckpoint(spec, stored(clip_tensors(spec)), 3.0)
    tower = TextTower(checkpoint, "fp32")
    ids = np.random.default_rng(2).integers(1, 599, (2, 20))
    ids[:, 12] = 599

    get = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
    x = get["text.token_embedding.weight"][ids] + get["text.positional_embedding"]  # (B, T, C)
    for index in (0, 1):
        name = f"text.transformer.resblocks.{index}"
        x = along(x, get, f"{name}.token_mixer.reparam_conv")
        wide = along(x, get, f"{name}.convffn.conv.conv")
        norm = {part: get[f"{name}.convffn.conv.bn.{part}"] for part in NORM}
        wide = (wide - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
        wide = wide * norm["weight"] + norm["bias"]
        wide = wide @ get[f"{name}.convffn.fc1.weight"][:, :, 0, 0].T
        wide = gelu(wide + get[f"{name}.convffn.fc1.bias"])
        wide = wide @ get[f"{name}.convffn.fc2.weight"][:, :, 0, 0].T
        wide = wide + get[f"{name}.convffn.fc2.bias"]
        x = x + get[f"{name}.layer_scale"][:, 0, 0] * wide
    last = x[:, 12]
    last = (last - last.mean(-1, keepdims=True)) / np.sqrt(last.var(-1, keepdims=True) + 1e-5)
    last = last * get["text.ln_final.weight"] + get["text.ln_final.bias"]
    assert np.allclose(tower(ids), last @ get["text.text_projection"], atol=1e-4)


NORM = ("weight", "bias", "running_mean", "running_var")


def stored(arrays: Arrays) -> dict[str, InMemory]:
    return {n: InMemory("F32", array.shape, array) for n, array in arrays.items()}


def along(x: np.ndarray, get: Arrays, name: str) -> np.ndarray:
    """Each channel's convolution over 11 tokens, zeros around them."""
    kernel = get[f"{name}.weight"][:, 0, 0]  # (C, 11)
    padded = np.pad(x, ((0, 0), (5, 5), (0, 0)))
    out = sum(padded[:, tap : tap + x.shape[1]] * kernel[:, tap] for tap in range(11))
    return np.asarray(out + get.get(f"{name}.bias", np.float32(0)))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / 2**0.5))
