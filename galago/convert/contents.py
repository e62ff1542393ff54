"""What a converted folder must hold: every tensor's type and shape, from its spec and precision.

The engine reads a tensor's bytes as what the graph asks for, so a folder from elsewhere that
holds fewer, or others, would have it read beyond them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from galago.checkpoints.names import EMBEDDING, HEAD, VISION, projector_shapes, text_shapes
from galago.checkpoints.tensors import Entry, Stored
from galago.engine.folding import folded_shapes
from galago.engine.precision import PrecisionPlan
from galago.engine.vlm_weights import is_product, language_entries
from galago.specs import VLMSpec

__all__ = ["unlike"]

_FLOATS = ("F32", "F16", "BF16")


def unlike(tensors: Mapping[str, Stored], spec: VLMSpec, plan: PrecisionPlan) -> str | None:
    """What is not as a conversion of this spec to this precision writes it; None when all is.

    `spec` has been checked against the number of tensors (galago.checkpoints.limits).
    """
    known = set()
    for weight in (*_vision(tensors, spec, plan), *_language(spec, plan)):
        for name, allowed in weight.items():
            known.add(name)
            tensor = tensors.get(name)
            if tensor is None:
                return f"lacks {name}"
            if Entry(tensor.dtype, tuple(tensor.shape)) not in allowed:
                return f"holds {name} as {tensor.dtype} {list(tensor.shape)}"
    strange = set(tensors) - known
    return f"holds {min(strange)!r}, which belongs to nothing" if strange else None


Allowed = dict[str, Collection[Entry]]  # a weight, and what belongs to it


def _floats(name: str, shape: tuple[int, ...], *kinds: str) -> Allowed:
    return {name: [Entry(kind, shape) for kind in kinds]}


def _vision(tensors: Mapping[str, Stored], spec: VLMSpec, plan: PrecisionPlan) -> Iterator[Allowed]:
    shapes = {VISION + name: shape for name, shape in folded_shapes(spec.vision).items()}
    shapes |= projector_shapes(spec.vision.features, spec.projector)
    for name, shape in shapes.items():
        layer, _, part = name.rpartition(".")
        stored = tensors.get(name)
        if plan.vision != "int8" or part != "weight" or stored is None or stored.dtype != "I8":
            yield _floats(name, shape, "F32" if plan.vision == "fp32" else "BF16")
        elif f"{layer}.range" in tensors and len(shape) == 4 and shape[1] > 1:
            yield (
                _floats(name, shape, "I8")
                | _floats(f"{name}.scale", (shape[0], 1, 1, 1), "F32")
                | _floats(f"{layer}.range", (2,), "F32")
            )
        elif is_product(layer, len(shape), spec.vision):
            yield _floats(name, shape, "I8") | _floats(f"{name}.scale", (shape[0], 1), "F32")
        else:
            yield _floats(name, shape, "BF16")


def _language(spec: VLMSpec, plan: PrecisionPlan) -> Iterator[Allowed]:
    shapes = text_shapes(spec.text)
    shapes[HEAD] = shapes[EMBEDDING]
    for name, shape in shapes.items():
        entries = language_entries(name, shape, plan)
        if entries is None:
            yield _floats(name, shape, *_FLOATS)
        else:
            yield {part: [entry] for part, entry in entries}
