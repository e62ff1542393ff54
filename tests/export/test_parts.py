"""A decoder read back in parts says what the whole file says, to the last bit but rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints.vlm import open_checkpoint
from galago.engine.exported import Exported
from galago.export import fastvlm, parts, tensor_data
from galago.export.fastvlm import DTYPES, GRAPHS, file_name
from galago.export.parts import read_logits
from galago.export.readback import ExportedLanguage
from tests.helpers.checkpoints import TINY_TEXT, tiny_llava

TEXT = replace(TINY_TEXT, layers=5, tied=False)


@pytest.mark.parametrize("dtype", ["fp32", "q4f16"])
@pytest.mark.parametrize("beside", [False, True], ids=["weights inside", "weights beside"])
def test_parts_say_what_the_whole_says(
    dtype: str, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if beside:
        monkeypatch.setattr(tensor_data, "_INSIDE", 10_000)
        monkeypatch.setattr(tensor_data, "_CHUNK", 100_000)
    source, one = open_checkpoint(tiny_llava(tmp_path / "model", text=TEXT)), DTYPES[dtype]
    graphs = tmp_path / "onnx"
    graphs.mkdir()
    path = graphs / file_name(GRAPHS[2], one)
    fastvlm.write_decoder(source, one, path)
    fastvlm.write_embedding(source, one, graphs / file_name(GRAPHS[1], one), TEXT.vocab)
    before = sorted(graphs.iterdir())
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, TEXT.hidden)).astype(np.float32) for length in (9, 14)]
    opened, real = [], Exported
    monkeypatch.setattr(parts, "Exported", lambda file: opened.append(file) or real(file))
    monkeypatch.setattr(parts, "layers_at_once", lambda _: 2)
    monkeypatch.setattr(parts, "_STEPS", 3)
    found = read_logits(path, TEXT, sequences, [4, 6])
    assert len(opened) == 4 and sorted(graphs.iterdir()) == before  # 2 + 2 + 1 layers, the head
    for sequence, logits in zip(sequences, found, strict=True):
        cache = ExportedLanguage(graphs, one, TEXT).new_cache()
        first = cache.append(sequence[: len(sequence) - len(logits) + 1])
        whole = np.stack([first, *cache.append_all(sequence[len(sequence) - len(logits) + 1 :])])
        near = 0.02 if one.decoder.half else 1e-5  # seams are rounded to halves, as the graph says
        np.testing.assert_allclose(logits, whole, atol=near * np.abs(whole).max())


def test_a_small_decoder_is_read_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, one = open_checkpoint(tiny_llava(tmp_path / "model")), DTYPES["fp32"]
    path = tmp_path / file_name(GRAPHS[2], one)
    fastvlm.write_decoder(source, one, path)
    opened, real = [], Exported
    monkeypatch.setattr(parts, "Exported", lambda file: opened.append(file) or real(file))
    rows = np.random.default_rng(0).normal(size=(5, TINY_TEXT.hidden)).astype(np.float32)
    (logits,) = read_logits(path, TINY_TEXT, [rows], [2])
    assert len(opened) == 1 and logits.shape == (2, TINY_TEXT.vocab)
