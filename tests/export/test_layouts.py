"""A layout rewritten as the other says the same, bit for bit, there and back; or it isn't kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.folders import INDEX, WEIGHTS, weight_files
from galago.checkpoints.names import EMBEDDING
from galago.checkpoints.vlm import Checkpoint, open_checkpoint
from galago.convert.selfcheck import reference_of
from galago.errors import ExportError, OptionError, StorageError
from galago.export import figures, layouts, shards
from galago.export.figures import answers_of
from galago.export.layouts import Layout, export_layout
from galago.export.shards import as_stored
from galago.hub.resolve import resolve
from galago.text.tokens import load_tokenizer
from tests.helpers.adapters import adapter
from tests.helpers.checkpoints import TINY_TEXT, TINY_VISION, tiny_fast_vlm, tiny_llava


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llava(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="module")
def there(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_layout(
        "transformers", resolve(source), tmp_path_factory.mktemp("a") / "a b"
    ).folder


@pytest.fixture(scope="module")
def back(there: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_layout("llava", resolve(there), tmp_path_factory.mktemp("b") / "back").folder


def _same_tensors(one: Checkpoint, other: Checkpoint) -> None:
    assert list(one.tensors) == list(other.tensors)
    for name, tensor in one.tensors.items():
        theirs = other.tensors[name]
        assert (tensor.dtype, tensor.shape) == (theirs.dtype, theirs.shape), name
        assert tensor.read().tobytes() == theirs.read().tobytes(), name


def test_there_and_back_is_the_same(source: Path, there: Path, back: Path) -> None:
    ours, theirs, again = (open_checkpoint(one) for one in (source, there, back))
    assert (theirs.spec.layout, again.spec.layout) == ("fast_vlm", "galago")
    for other in (theirs, again):
        _same_tensors(ours, other)
        assert (other.spec.vision, other.spec.text) == (ours.spec.vision, ours.spec.text)
        assert (other.spec.image, other.spec.eos_ids) == (ours.spec.image, ours.spec.eos_ids)
    words = "Free coffee: <image> 3 × ¼\n"
    wanted = load_tokenizer(source).encode(words)
    assert all(load_tokenizer(folder).encode(words) == wanted for folder in (there, back))


def test_features_logits_and_words_are_the_same(
    source: Path, there: Path, back: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "_TOKENS", 3)
    wanted, *others = (reference_of(open_checkpoint(one)) for one in (source, there, back))
    for found in others:
        _same(wanted.features, found.features)
        _same(wanted.logits, found.logits)
    said = answers_of(open_checkpoint(source))
    assert said and said == answers_of(open_checkpoint(there)) == answers_of(open_checkpoint(back))


def _same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_files_that_their_readers_look_for(there: Path, back: Path) -> None:
    assert {path.name for path in there.iterdir()} == {
        *("README.md", "chat_template.jinja", "config.json", "galago-export.json", WEIGHTS),
        *("generation_config.json", "preprocessor_config.json", "processor_config.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    config = json.loads((there / "config.json").read_text())
    assert config["model_type"] == "fast_vlm" and config["image_token_index"] == 259
    assert config["vision_config"]["model_args"]["layers"] == list(TINY_VISION.depths)
    assert config["dtype"] == "bfloat16" and config["tie_word_embeddings"] is True
    sees = json.loads((there / "preprocessor_config.json").read_text())
    assert (sees["image_processor_type"], sees["do_pad"]) == ("LlavaImageProcessor", True)
    assert {"vocab.json", "merges.txt", "added_tokens.json"} <= {one.name for one in back.iterdir()}
    assert "same, bit for bit" in (there / "README.md").read_text()


def test_an_older_tokenizer_is_read_from_its_parts(back: Path, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copyfile(back / name, tmp_path / name)
    words = "Free coffee"
    assert load_tokenizer(tmp_path).decode(load_tokenizer(back).encode(words)) == words


def test_nano_gets_a_row_and_loses_it_again(tmp_path: Path) -> None:
    nano = resolve("fastvlm-nano", offline=True)
    made = export_layout("transformers", nano, tmp_path / "there")
    assert made.proofs[0].rows == 1 and "row of zeros" in made.remarks[0]
    told = json.loads((made.folder / "generation_config.json").read_text())
    assert told["suppress_tokens"] == [768]
    opened = open_checkpoint(made.folder)
    table = opened.tensors[EMBEDDING].read()
    assert table.shape == (769, 256) and not table[768].any() and table[:768].any(1).all()
    again = export_layout("llava", resolve(made.folder), tmp_path / "back")
    assert again.proofs[0].rows == -1
    _same_tensors(open_checkpoint(nano.folder), open_checkpoint(again.folder))
    assert load_tokenizer(again.folder).token_id("<image>") is None


def test_a_row_that_has_learnt_stays(tmp_path: Path) -> None:
    folder = tiny_fast_vlm(tmp_path / "tuned", text=replace(TINY_TEXT, vocab=260))
    made = export_layout("llava", resolve(folder), tmp_path / "out")
    assert made.proofs[0].rows == 0
    assert open_checkpoint(made.folder).tensors[EMBEDDING].shape == (260, 64)


@pytest.mark.parametrize("tied", [True, False])
def test_files_of_bounded_size(tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_llava(tmp_path / "source", text=replace(TINY_TEXT, tied=tied))
    monkeypatch.setattr(shards, "LIMIT", 100_000)
    made = export_layout("transformers", resolve(source), tmp_path / "out").folder
    files = weight_files(made)
    index = json.loads((made / INDEX).read_text())
    assert len(files) > 2 and set(index["weight_map"].values()) == {one.name for one in files}
    assert all(one.stat().st_size < 130_000 for one in files)
    _same_tensors(open_checkpoint(source), open_checkpoint(made))


def test_what_was_stopped_is_continued(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "LIMIT", 100_000)
    real, begun = shards.SafetensorsWriter, []

    class Stops(real):  # type: ignore[valid-type, misc]
        def __init__(self, path: Path, *rest: object) -> None:
            begun.append(path.name)
            super().__init__(path, *rest)

        def close(self) -> None:
            if len(begun) == 2:
                raise KeyboardInterrupt
            super().close()

    monkeypatch.setattr(shards, "SafetensorsWriter", Stops)
    with pytest.raises(KeyboardInterrupt):
        export_layout("transformers", resolve(source), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    made = export_layout("transformers", resolve(source), tmp_path / "out").folder
    assert begun[2] == begun[1] and len(set(begun)) == len(begun) - 1
    _same_tensors(open_checkpoint(source), open_checkpoint(made))


def test_a_full_disk(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards.SafetensorsWriter, "append", full)
    with pytest.raises(StorageError, match="is full: make room and run the same command again"):
        export_layout("transformers", resolve(source), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["transformers", "llava"])
def test_a_tensor_that_came_out_otherwise_is_not_kept(
    layout: Layout, source: Path, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source if layout == "transformers" else there
    wrong = open_checkpoint(folder).tensors["model.layers.0.self_attn.k_proj.weight"]

    def other(name: str, tensor: object) -> shards.Item:
        return as_stored(name, wrong if "1.self_attn.k_proj.weight" in name else tensor)  # type: ignore[arg-type]

    monkeypatch.setattr(layouts, "as_stored", other)
    with pytest.raises(ExportError, match="1.self_attn.k_proj.weight is another one"):
        export_layout(layout, resolve(folder), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_has_the_layout_already(there: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has the layout fast_vlm already: copy the folder"):
        export_layout("transformers", resolve(there), tmp_path / "out")


def test_a_trunk_that_timm_has_not(tmp_path: Path) -> None:
    narrow = replace(TINY_VISION, head_dim=16)
    source = tiny_llava(tmp_path / "source", vision=narrow)
    with pytest.raises(OptionError, match="has no trunk of this shape"):
        export_layout("transformers", resolve(source), tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["source"]


def test_an_adapter_becomes_the_whole_model_in_its_own_layout(tmp_path: Path) -> None:
    model = resolve(adapter(tiny_fast_vlm(tmp_path / "base"), tmp_path / "adapter"))
    export_layout("transformers", model, tmp_path / "whole")
    parts, whole = open_checkpoint(model.folder), open_checkpoint(tmp_path / "whole")
    assert parts.adapter and not whole.adapter
    for name, tensor in parts.tensors.items():
        assert (tensor.read() == whole.tensors[name].read()).all(), name
