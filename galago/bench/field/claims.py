"""What is claimed of FastViTHD's size and tokens, counted again from the shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from galago.bench.field.models import TOWERS
from galago.bench.field.towers import parameters, tokens

__all__ = ["BORNE_OUT", "CLAIMS", "Claim", "counted"]

BORNE_OUT = 0.05
_PAPER = "arXiv 2412.13303v2"


@dataclass(frozen=True)
class Claim:
    """A published factor, and `counted()`, what it is by the shapes of what the models run."""

    words: str
    where: str
    factor: float
    relative_to: str
    counted: Callable[[], float]

    @property
    def holds(self) -> bool:
        """Within what rounding, and counting CLIP's head (2.4 M) or not, can make of it."""
        return abs(self.counted() / self.factor - 1) <= BORNE_OUT


def counted(options: Mapping[str, Any]) -> dict[str, Any]:
    """A row that costs nothing: parameters, tokens of every tower at the sides of `towers`."""
    return {
        "towers": {
            name: {
                side: {
                    "parameters": parameters(TOWERS[name][0], side),
                    "tokens": tokens(TOWERS[name][0], side),
                }
                for side in sides
            }
            for name, sides in options["towers"].items()
        }
    }


def _size(name: str, side: int) -> float:
    return float(parameters(TOWERS[name][0], side))


def _smaller(name: str, side: int, than: str = "FastViTHD", at: int = 1024) -> Callable[[], float]:
    return lambda: _size(name, side) / _size(than, at)


def _fewer(name: str, side: int, than: str, at: int) -> Callable[[], float]:
    return lambda: tokens(TOWERS[name][0], side) / tokens(TOWERS[than][0], at)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "16x fewer tokens than ViT-L/14 at 336 px", f"{_PAPER}, figure 2", 16,
        "ViT-L/14's 576 at 336 px and FastViTHD's 36 at 384 px, the next multiple of its stride",
        _fewer("CLIP ViT-L/14", 336, "FastViTHD", 384),
    ),
    Claim(
        "4x fewer tokens than FastViT", f"{_PAPER}, section 3.1", 4,
        "FastViT at the same side: stride 32 against 64",
        _fewer("FastViT", 1024, "FastViTHD", 1024),
    ),
    Claim(
        "FastViT: 5.2x fewer tokens than a ViT with patches of 14", f"{_PAPER}, section 3", 5.2,
        "the same side: stride 14 against 32, at 896 px, which both divide",
        _fewer("CLIP ViT-L/14", 896, "FastViT", 896),
    ),
    Claim(
        "a vision encoder that is 3.4x smaller", f"{_PAPER}, abstract", 3.4,
        "SigLIP-SO400M of LLaVA-OneVision, whole: 27 layers and its pool",
        _smaller("SigLIP-SO400M/14, pooled", 384),
    ),
    Claim(
        "... of what LLaVA-OneVision runs of it", "the same claim", 3.4,
        "SigLIP-SO400M without the last layer and the pool, which LLaVA-OneVision deletes",
        _smaller("SigLIP-SO400M/14, 26 layers", 384),
    ),
    Claim(
        "2.4x smaller than ViT-L/14", f"{_PAPER}, section 3.2", 2.4, "CLIP's ViT-L/14 at 224 px",
        _smaller("CLIP ViT-L/14", 224),
    ),
    Claim(
        "2.7x smaller than ViTamin", f"{_PAPER}, section 3.2", 2.7, "ViTamin-L at 224 px",
        _smaller("ViTamin-L", 224),
    ),
    Claim(
        "6.8x smaller than ConvNeXt-XXL", f"{_PAPER}, section 3.2", 6.8, "ConvNeXt-XXL",
        _smaller("ConvNeXt-XXL", 1024),
    ),
    Claim(
        "3.5x larger than MobileCLIP's largest FastViT", f"{_PAPER}, section 3.1", 3.5, "MCi2",
        lambda: _size("FastViTHD", 1024) / _size("FastViT", 1024),
    ),
    Claim(
        "FastViT: 8.7x smaller than ViT-L/14", f"{_PAPER}, section 3.2", 8.7,
        "MCi2 and CLIP's ViT-L/14 at 336 px", _smaller("CLIP ViT-L/14", 336, "FastViT", 256),
    ),
    Claim(
        "ConvLLaVA's encoder: 200 M, which is 1.6x FastViTHD", f"{_PAPER}, table 6", 1.6,
        "the tower that ConvLLaVA runs, which has a fifth stage (six blocks, 3,072 wide)",
        _smaller("ConvNeXt-L, five stages", 1024),
    ),
    Claim(
        "LLaVA-OneVision: 28x the visual tokens (7,290 and 256)", f"{_PAPER}, table 6", 28,
        "ten crops of 384 px against FastViTHD at 1,024 px",
        lambda: 10 * tokens(TOWERS["SigLIP-SO400M/14, 26 layers"][0], 384)
        / tokens(TOWERS["FastViTHD"][0], 1024),
    ),
)  # fmt: skip
