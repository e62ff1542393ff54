"""Words of precision, and what becomes of them on a processor."""

from __future__ import annotations

import pytest

from galago.engine.precision import PrecisionPlan, resolve_precision
from galago.errors import OptionError
from galago.specs import FASTVITHD, ImageSpec, PromptSpec, Qwen2Spec, VLMSpec
from tests.helpers.checkpoints import FULL_TEXT


def spec(hidden: int, intermediate: int, layers: int, heads: int, kv: int) -> VLMSpec:
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


def test_one_word_leaves_vision_in_floating_point() -> None:
    model = spec(896, 4864, 24, 14, 2)
    for wanted in ("auto", "int8", "int4"):
        for native in (True, False):
            assert resolve_precision(wanted, model, native_bf16=native).vision != "int8"
    plan = resolve_precision("int4-int8", model, native_bf16=False)
    assert (plan.language, plan.vision, plan.name) == ("int4", "int8", "int4-int8")
