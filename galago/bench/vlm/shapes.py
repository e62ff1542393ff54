"""Random models of the published shapes: speed and memory don't depend on the weights' values.

Weights are drawn and written run by run, so that 15 GB pass through little memory, and converted
once per precision. What the self-check says of them stays in their galago.json.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago import catalog
from galago.checkpoints.folders import CONFIG, WEIGHTS
from galago.checkpoints.names import EMBEDDING, HEAD
from galago.checkpoints.tensors import Entry, to_bf16
from galago.checkpoints.vlm_config import text_to_json
from galago.checkpoints.writing import every_shape, llava_config, write_runs
from galago.errors import OptionError
from galago.hub.resolve import local
from galago.specs import FASTVITHD, FastViTSpec, ImageSpec, Qwen2Spec

__all__ = [
    "NANO",
    "SHAPES",
    "Draw",
    "Shape",
    "build",
    "converted_folder",
    "published_side",
    "random_array",
    "sources",
    "text_config",
    "write_random",
]

NANO = "nano"  # the embedded model, whose weights are trained
_RUN = 16 << 20  # numbers drawn at once: 64 MB as float32
_END = 2  # the id that ends a reply

Draw = Callable[[np.random.Generator, str, tuple[int, ...]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """A model without its values."""

    vision: FastViTSpec
    text: Qwen2Spec
    side: int


SHAPES = {
    "0.5B": Shape(FASTVITHD, Qwen2Spec(896, 4864, 24, 14, 2, 151936), 1024),
    "1.5B": Shape(FASTVITHD, Qwen2Spec(1536, 8960, 28, 12, 2, 151936), 1024),
    "7B": Shape(FASTVITHD, Qwen2Spec(3584, 18944, 28, 28, 4, 152064, tied=False), 1024),
    # Nobody's: the same kinds of layers, small enough for a look in minutes.
    "small": Shape(
        dataclasses.replace(FASTVITHD, depths=(1, 2, 4, 1, 1), widths=(32, 64, 128, 256, 512)),
        Qwen2Spec(512, 1408, 8, 8, 2, 32000),
        512,
    ),
}


def random_array(
    rng: np.random.Generator, name: str, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """float32 values that let a picture or a prompt show in what comes out many layers later."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith(("running_var", "norm.weight", "bn.weight", "layernorm.weight")):
        return np.asarray(np.float32(1) + np.float32(0.1) * noise.clip(-3, 3))
    if "layer_scale" in name:
        return np.asarray(np.float32(0.3) + np.float32(0.05) * noise)
    if name.endswith(("bias", "running_mean")):
        return np.asarray(noise * np.float32(0.02))
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    if name == EMBEDDING:
        # With an output projection of this size logits spread like a trained model's.
        return np.asarray(noise * np.float32(3 * shape[1] ** -0.5))
    if "token_mixer.reparam_conv" in name:
        # Fused, this convolution is also the skip connection: near the identity.
        return np.asarray(_centre_one(shape) + noise * np.float32(0.3 * fan_in**-0.5))
    # Convolutions make up for GELU's halving. Decoder layers must outweigh the embedding they are
    # added to, or a tied model repeats one token.
    gain = 1.4 if len(shape) == 4 else 2.0 if name.startswith("model.layers.") else 1.0
    return np.asarray(noise * np.float32(gain * fan_in**-0.5))


def _centre_one(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A depthwise kernel that leaves its input as it is."""
    kernel = np.zeros(shape, np.float32)
    kernel[:, :, shape[2] // 2, shape[3] // 2] = 1
    return kernel


def text_config(text: Qwen2Spec) -> dict[str, Any]:
    """The decoder's part of a config.json."""
    return text_to_json(text) | {"eos_token_id": _END}


def write_random(folder: Path, shape: Shape, seed: int = 0, draw: Draw = random_array) -> Path:
    """A llava_qwen2 folder in BF16 without a tokenizer; of a tied model both copies, as published.

    Same seed, same tensors, however they are cut into runs; `draw` makes the numbers of a run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = {n: Entry("BF16", s) for n, s in every_shape(shape.vision, shape.text).items()}
    if shape.text.tied:
        plan[HEAD] = plan[EMBEDDING]

    def runs(name: str, entry: Entry) -> Iterator[npt.NDArray[np.uint16]]:
        source = EMBEDDING if name == HEAD and shape.text.tied else name
        rng = np.random.default_rng([seed, *source.encode()])
        step = max(1, _RUN // max(1, int(np.prod(entry.shape[1:]))))
        for start in range(0, entry.shape[0], step):
            run = (min(step, entry.shape[0] - start), *entry.shape[1:])
            yield to_bf16(draw(rng, source, run))

    write_runs(folder / WEIGHTS, plan, runs)
    config = llava_config(shape.vision, shape.text, ImageSpec(shape.side), end=_END)
    config["tie_word_embeddings"] = False  # as published: the tensors tell
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")  # last: now it is whole
    return folder


def converted_folder(cache: Path, shape: str, precision: str) -> Path:
    """Where a converted random model lies, or will."""
    from galago.convert.folder import FORMAT

    return cache / "models" / f"{shape}-{precision}-f{FORMAT}"


def build(options: Mapping[str, Any]) -> dict[str, Any]:
    """Have a random model (or the embedded one) converted: the preparation of rows that need it.

    The random weights themselves go when another shape is made, or behind the last row.
    Raises OptionError for an unknown shape, StorageError when the disk is full.
    """
    from galago.checkpoints.vlm import open_checkpoint
    from galago.convert.write import convert

    cache, name = Path(options["cache"]), options["shape"]
    if name not in (NANO, *SHAPES):
        raise OptionError(f"shape {name!r} is not known: use one of {', '.join(SHAPES)}")
    folder = converted_folder(cache, name, options["precision"])
    if not (folder / "galago.json").exists():
        source = _embedded() if name == NANO else _random(cache, name)
        # Random weights may fail a check that is made for trained ones; its figures are shown.
        convert(open_checkpoint(source), folder, options["precision"], force=True)
    return {}


def _random(cache: Path, name: str) -> Path:
    source = sources(cache) / name
    for other in sources(cache).glob("*"):
        if other != source:  # at most one shape's random weights lie about
            shutil.rmtree(other, ignore_errors=True)
    if not (source / "config.json").exists():
        write_random(source, SHAPES[name])
        # The embedded model's, so that prompts are cut into words' parts as they usually are.
        shutil.copyfile(_embedded() / "tokenizer.json", source / "tokenizer.json")
    return source


def sources(cache: Path) -> Path:
    """Where random weights lie until they are converted."""
    return cache / "sources"


def published_side() -> int:
    """The side in pixels that the embedded model looks at pictures with."""
    from galago.checkpoints.vlm import open_checkpoint

    return open_checkpoint(_embedded()).spec.image.side


def _embedded() -> Path:
    found = local(catalog.DEFAULT)
    assert found is not None, "the embedded model is part of the package"
    return found.folder
