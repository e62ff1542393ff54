"""Which number format each part of a model runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from galago.errors import OptionError
from galago.specs import CLIP_PRECISIONS, PRECISIONS, Qwen2Spec, VLMSpec

VisionPrecision = Literal["fp32", "bf16", "int8"]
LanguagePrecision = Literal["fp32", "bf16", "int8", "int4"]
ClipPrecision = Literal["fp32", "bf16", "int8"]

# Below this many weights a model is bound by overheads, not by memory: full precision costs
# nothing and gives the same answers on every machine.
_SMALL = 50_000_000
# From here on int8 would read more than 4 GB a token.
_LARGE = 4_000_000_000


@dataclass(frozen=True)
class PrecisionPlan:
    """Formats of the stored weights; `group` is the int4 group size.

    bf16 is also what the matrix products are computed in where the processor has instructions for
    it; elsewhere the products are float32. int8 vision also computes the trunk's 1x1 convolutions
    in 8 bits, over ranges measured at conversion, and where the processor adds products of bytes
    exactly its matrices too; what surrounds them is stored as bf16.
    """

    vision: VisionPrecision
    language: LanguagePrecision
    group: int = 128

    @property
    def name(self) -> str:
        """A short name for folders and reports, such as "int8" or "bf16-fp32"."""
        if self.language in ("int8", "int4"):
            return f"{self.language}-{self.vision}"
        return self.language if self.language == self.vision else f"{self.language}-{self.vision}"

    @property
    def exact(self) -> bool:
        """Whether all of it is float32, which is then what it is computed in."""
        return self.vision == self.language == "fp32"

    def answers(self, wanted: str) -> bool:
        """Whether this is what --precision `wanted` stands for.

        One word leaves vision in floating point: "int8" is not "int8-int8".
        """
        one = wanted == self.language and self.vision != "int8"
        return one or wanted in ("auto", self.name)


def language_size(text: Qwen2Spec) -> int:
    """Weights of the decoder without its embedding table."""
    attention = 2 * text.hidden * (text.hidden + text.kv_heads * text.head_dim)
    return text.layers * (attention + 3 * text.hidden * text.intermediate)


def resolve_precision(wanted: str, spec: VLMSpec, *, native_bf16: bool) -> PrecisionPlan:
    """The plan behind --precision; OptionError for a word that is not one of PRECISIONS."""
    check_precision(wanted)
    if wanted == "fp32":
        return PrecisionPlan("fp32", "fp32")
    size = language_size(spec.text)
    vision: VisionPrecision = "bf16" if native_bf16 or wanted == "bf16" else "fp32"
    if wanted != "auto":
        language, _, narrow = wanted.partition("-")
        seen = cast(VisionPrecision, narrow) if narrow else vision
        return PrecisionPlan(seen, cast(LanguagePrecision, language))
    if size < _SMALL:
        return PrecisionPlan("fp32", "fp32")
    return PrecisionPlan(vision, "int4" if size > _LARGE else "int8")


def check_precision(wanted: str) -> None:
    """OptionError for a precision that FastVLM doesn't run in."""
    if wanted not in PRECISIONS:
        raise OptionError(f"precision {wanted!r} is not known: use one of {', '.join(PRECISIONS)}")


def check_clip_precision(wanted: str) -> None:
    """OptionError for a precision that MobileCLIP doesn't run in."""
    if wanted not in CLIP_PRECISIONS:
        known = ", ".join(CLIP_PRECISIONS)
        raise OptionError(f"precision {wanted!r} is not possible here: use one of {known}")


def resolve_clip_precision(wanted: str, size: int, *, native_bf16: bool) -> ClipPrecision:
    """auto -> bf16 where the processor multiplies it and the model is large, else fp32.

    `size`: the model's parameters.
    """
    check_clip_precision(wanted)
    if wanted != "auto":
        return cast(ClipPrecision, wanted)
    return "bf16" if size > _SMALL and native_bf16 else "fp32"


def check_threads(threads: int | None) -> None:
    """OptionError for a number of threads that none can be."""
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise OptionError(f"threads {threads!r} is not possible: use 1 or more")
