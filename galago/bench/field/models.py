"""Who is compared with whom: towers, decoders and models as rows, each with its source.

Shapes were read in the named configurations; what the published tables say of them is counted again
on docs/comparison.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from galago.bench.field.towers import ConvNeXt, Plain, Tower, ViTamin, tokens
from galago.bench.vlm.shapes import SHAPES
from galago.specs import MCI0, MCI2, MCI3, MCI4, Qwen2Spec

__all__ = [
    "DECODERS",
    "PAPER_ONLY",
    "RIVALS",
    "SIDES",
    "TOWERS",
    "VLMS",
    "Decoder",
    "Look",
    "Rival",
    "Source",
    "Vlm",
]

Source = str
Kind = Literal["qwen2", "llama", "phi"]
SIDES = (256, 512, 768, 1024, 1536)  # the paper's figures 3 to 6
_TIMM = "timm 1.0.31, "
_CLIP = "open_clip 3.3.0, model_configs/"


@dataclass(frozen=True)
class Decoder:
    """A language model. `kind`: Qwen2 has biases at query, key and value, Llama has none; Phi's
    blocks are parallel, with layer norms and a plain MLP."""

    spec: Qwen2Spec
    kind: Kind
    source: Source


@dataclass(frozen=True)
class Look:
    """`count` pictures (tiles, with the overview) of `side` px through one tower.

    `skipped`: of a transformer, the last layers that the model doesn't use.
    """

    tower: str
    side: int
    count: int = 1


@dataclass(frozen=True)
class Vlm:
    """A vision-language model: what it looks with, the visual tokens it reads, its decoder.

    `published`: how its row in the published tables begins; `px`: what is seen of a picture.
    """

    name: str
    looks: tuple[Look, ...]
    visual_tokens: int
    decoder: str
    px: int
    group: str
    source: Source
    published: tuple[str, str] = ("", "")
    note: str = ""


@dataclass(frozen=True)
class Rival:
    """An image tower of CLIP's kind at its published side; `published` is its row's name."""

    name: str
    tower: str
    side: int
    published: str


# -- towers ----------------------------------------------------------------------------------------

_SO400M = Plain(1152, 27, 16, 4304, 14)
_LARGE = Plain(1024, 24, 16, 4096, 14, class_token=True)
_CLIP_L = replace(_LARGE, pre_norm=True, eps=1e-5)
_SIGLIP_B = Plain(768, 12, 12, 3072, 16)
TOWERS: dict[str, tuple[Tower, Source]] = {
    "FastViTHD": (MCI3, "arXiv 2412.13303 section 3.1; timm's fastvit_mci3"),
    "FastViT": (MCI2, "arXiv 2412.13303 section 3: MobileCLIP's MCi2; timm's fastvit_mci2"),
    # LLaVA takes the last but one layer of CLIP's and SigLIP's towers; what is behind isn't run.
    "SigLIP-SO400M/14, 26 layers": (
        replace(_SO400M, layers=26),
        "LLaVA-VL/LLaVA-NeXT siglip_encoder.py: the last layer and the head are deleted",
    ),
    "SigLIP-SO400M/14": (
        _SO400M,
        f"{_TIMM}vit_so400m_patch14_siglip_384; vikhyat/moondream torch/config.py VisionConfig",
    ),
    "CLIP ViT-L/14, 23 layers": (
        replace(_CLIP_L, layers=23),
        f"{_TIMM}vit_large_patch14_clip_336; LLaVA's mm_vision_select_layer -2",
    ),
    "ConvNeXt-L": (
        ConvNeXt((3, 3, 27, 3), (192, 384, 768, 1536)),
        f"{_TIMM}convnext_large; arXiv 2201.03545",
    ),
    "ConvNeXt-L, five stages": (
        ConvNeXt((3, 3, 27, 3, 6), (192, 384, 768, 1536, 3072)),
        "alibaba/conv-llava scripts/stage_1.sh: vision_add_five_stage 6, width 3072",
    ),
    "ConvNeXt-XXL": (
        ConvNeXt((3, 4, 30, 3), (384, 768, 1536, 3072)),
        f"{_TIMM}convnext_xxlarge",
    ),
    "DINOv2 ViT-L/14": (
        replace(_LARGE, scaled=True),
        f"{_TIMM}vit_large_patch14_dinov2",
    ),
    "SigLIP-B/16": (
        _SIGLIP_B,
        f"{_TIMM}vit_base_patch16_siglip_512; SmolVLM-256M's card: siglip-base-patch16-512",
    ),
    # The towers of CLIP's kind, whole.
    "MobileCLIP2-S0": (MCI0, "galago.specs.MCI0"),
    "MobileCLIP2-S4": (MCI4, "galago.specs.MCI4"),
    "CLIP ViT-L/14": (
        _CLIP_L,
        f"{_CLIP}ViT-L-14.json",
    ),
    "CLIP ViT-B/16": (
        Plain(768, 12, 12, 3072, 16, class_token=True, pre_norm=True, eps=1e-5),
        f"{_CLIP}ViT-B-16.json",
    ),
    "SigLIP-SO400M/14, pooled": (
        replace(_SO400M, pooled=True),
        f"{_CLIP}ViT-SO400M-14-SigLIP.json; SigLIP2's tower has the same shape",
    ),
    "SigLIP-B/16, pooled": (
        replace(_SIGLIP_B, pooled=True),
        f"{_CLIP}ViT-B-16-SigLIP.json; SigLIP2's tower has the same shape",
    ),
    "ViTamin-L": (
        ViTamin(160, (2, 4), 1024, 31, 16),
        f"{_CLIP}ViTamin-L.json; {_TIMM}vitamin_large_224",
    ),
}

# -- decoders --------------------------------------------------------------------------------------

_QWEN2 = "arXiv 2407.10671 table 1; Qwen2's config.json"
DECODERS: dict[str, Decoder] = {
    "Qwen2-0.5B": Decoder(SHAPES["0.5B"].text, "qwen2", _QWEN2),
    "Qwen2-1.5B": Decoder(SHAPES["1.5B"].text, "qwen2", _QWEN2),
    "Qwen2-7B": Decoder(SHAPES["7B"].text, "qwen2", _QWEN2),
    "Vicuna-7B": Decoder(
        Qwen2Spec(4096, 11008, 32, 32, 32, 32000, rope_theta=1e4, rms_eps=1e-5, tied=False),
        "llama",
        "lmsys/vicuna-7b-v1.5 config.json: LLaMA-7B, arXiv 2302.13971",
    ),
    "LLaMA-3-8B": Decoder(
        Qwen2Spec(4096, 14336, 32, 32, 8, 128256, rope_theta=5e5, rms_eps=1e-5, tied=False),
        "llama",
        "meta-llama/Meta-Llama-3-8B config.json; arXiv 2407.21783 table 3",
    ),
    "SmolLM2-135M": Decoder(
        Qwen2Spec(576, 1536, 30, 9, 3, 49280, rope_theta=1e5, rms_eps=1e-5),
        "llama",
        "HuggingFaceTB/SmolVLM-256M-Instruct config.json, text_config",
    ),
    "SmolLM2-360M": Decoder(
        Qwen2Spec(960, 2560, 32, 15, 5, 49280, rope_theta=1e5, rms_eps=1e-5),
        "llama",
        "HuggingFaceTB/SmolVLM-500M-Instruct config.json, text_config",
    ),
    "Phi-1.5": Decoder(
        Qwen2Spec(2048, 8192, 24, 32, 32, 51200, rope_theta=1e4, rms_eps=1e-5, tied=False),
        "phi",
        "vikhyat/moondream torch/config.py TextConfig",
    ),
}

# -- models ----------------------------------------------------------------------------------------

_FASTVLM = "arXiv 2412.13303"


def _fastvlm(tower: str, decoder: str, side: int, group: str, grid: int = 1) -> Vlm:
    """`grid` x `grid` tiles and an overview of the same size; 1: the picture as it is."""
    size = decoder.removeprefix("Qwen2-").replace("Vicuna-7B", "with Vicuna-7B")
    count = 1 if grid == 1 else grid * grid + 1
    tile = side // grid
    whose = "FastVLM" if tower == "FastViTHD" else f"FastVLM with {tower}"
    name = f"{whose} {size}, {side} px" + (f" as {grid}x{grid} tiles" if grid > 1 else "")
    published = f"FastVLM, {grid}x{grid} tiles of {tile}" if grid > 1 else "FastVLM"
    seen = count * tokens(TOWERS[tower][0], tile)
    look = Look(tower, tile, count)
    return Vlm(name, (look,), seen, decoder, side, group, _FASTVLM, (published, decoder))


def _rival(
    name: str, looks: tuple[Look, ...], seen: int, decoder: str, px: int, group: str,
    source: Source, published: str = "", note: str = "", llm: str = "",
) -> Vlm:  # fmt: skip
    row = (published, llm or decoder)
    return Vlm(name, looks, seen, decoder, px, group, source, row, note)


def _vlms() -> list[Vlm]:
    found = [_fastvlm("FastViTHD", "Qwen2-0.5B", side, "curve") for side in SIDES]
    found.append(
        _rival(
            "LLaVA-OneVision-0.5B",
            (Look("SigLIP-SO400M/14, 26 layers", 384, 10),),
            7290,
            "Qwen2-0.5B",
            1152,
            "rival",
            "arXiv 2408.03326: 3x3 crops and an overview of 27 x 27 tokens, none pooled",
            "LLaVA-OneVision-0.5B",
        )
    )
    found += _small()
    for tower, decoder in (
        ("FastViT", "Qwen2-0.5B"), ("FastViTHD", "Qwen2-1.5B"), ("FastViT", "Qwen2-1.5B"),
        ("FastViTHD", "Qwen2-7B"), ("FastViT", "Qwen2-7B"),
    ):  # fmt: skip
        found += [_fastvlm(tower, decoder, side, "curve") for side in SIDES]
    for decoder in ("Qwen2-0.5B", "Qwen2-1.5B", "Qwen2-7B"):
        for side, grid in ((1024, 2), (1536, 2), (1536, 3), (2048, 2)):
            found.append(_fastvlm("FastViTHD", decoder, side, "tiles", grid))
    # As ConvLLaVA's decoder, so that the two differ in their towers alone.
    found += [_fastvlm("FastViTHD", "Vicuna-7B", side, "vicuna") for side in (768, 1024)]
    return [*found, *_large()]


def _small() -> list[Vlm]:
    """Today's alternatives: nothing of theirs is in the papers' tables but SmolVLM2's."""
    smol = "google's SigLIP-B/16 at 512 px, 4x4 tiles and an overview, 64 tokens each"
    tiles = (Look("SigLIP-B/16", 512, 17),)
    found = [
        _rival(f"SmolVLM-{size}", tiles, 17 * 64, decoder, 2048, "rival", smol, *row)
        for size, decoder, *row in (
            ("256M", "SmolLM2-135M"),
            ("500M", "SmolLM2-360M", "SmolVLM2-0.5B", "accuracies are SmolVLM2's", "SmolLM2"),
        )
    ]
    moondream = (Look("SigLIP-SO400M/14", 378, 13),)
    note = "12 crops of 378 px and an overview, joined into one map of 27 x 27 tokens"
    source = "vikhyat/moondream torch/config.py: max_crops 12, crop_size 378"
    return [
        *found,
        _rival("moondream2", moondream, 729, "Phi-1.5", 378, "rival", source, "", note),
    ]


def _large() -> list[Vlm]:
    found = []
    for side in (768, 1024, 1536):
        look = (Look("ConvNeXt-L, five stages", side),)
        source = "arXiv 2405.15738; alibaba/conv-llava"
        name, seen = f"ConvLLaVA-7B, {side} px", (side // 64) ** 2
        found.append(_rival(name, look, seen, "Vicuna-7B", side, "rival", source, "ConvLLaVA"))
    crops = (Look("CLIP ViT-L/14, 23 layers", 336, 5),)
    found.append(
        _rival(
            "LLaVA-NeXT-8B",
            crops,
            2880,
            "LLaMA-3-8B",
            672,
            "rival",
            "llava-vl.github.io/blog/2024-01-30-llava-next: 2x2 crops and an overview",
            "LLaVA-NeXT-8B",
        )
    )
    four = (
        Look("SigLIP-SO400M/14", 384),
        Look("ConvNeXt-XXL", 1024),
        Look("DINOv2 ViT-L/14", 518),
        Look("CLIP ViT-L/14", 336),
    )
    note = "its connector (SVA, which mixes the four towers' maps in 576 queries) is left out"
    name, source = "Cambrian-1-8B", "arXiv 2406.16860; cambrian-mllm/cambrian"
    found.append(_rival(name, four, 576, "LLaMA-3-8B", 1024, "rival", source, name, note))
    return found


VLMS: tuple[Vlm, ...] = tuple(_vlms())
# Rows of the published tables whose models nobody can run: neither code nor weights are published.
PAPER_ONLY = ("MM1",)

RIVALS: tuple[Rival, ...] = (
    Rival("MobileCLIP2-S0", "MobileCLIP2-S0", 256, "MobileCLIP2-S0"),
    Rival("MobileCLIP2-S2", "FastViT", 256, "MobileCLIP2-S2"),
    Rival("MobileCLIP2-S3", "FastViTHD", 256, "MobileCLIP2-S3"),
    Rival("MobileCLIP2-S4", "MobileCLIP2-S4", 256, "MobileCLIP2-S4"),
    Rival("MobileCLIP2-L/14", "CLIP ViT-L/14", 224, "MobileCLIP2-L/14"),
    Rival(
        "SigLIP-SO400M/14, 224 px", "SigLIP-SO400M/14, pooled", 224, "ViT-SO400M-14-SigLIP webli"
    ),
    Rival(
        "SigLIP-SO400M/14, 384 px",
        "SigLIP-SO400M/14, pooled",
        384,
        "ViT-SO400M-14-SigLIP-384 webli",
    ),
    Rival("SigLIP-B/16", "SigLIP-B/16, pooled", 224, "ViT-B-16-SigLIP webli"),
    Rival("SigLIP2-SO400M/14", "SigLIP-SO400M/14, pooled", 224, ""),
    Rival("SigLIP2-B/16", "SigLIP-B/16, pooled", 224, ""),
    Rival("DFN ViT-L/14", "CLIP ViT-L/14", 224, "ViT-L-14-quickgelu dfn2b"),
    Rival("ViTamin-L", "ViTamin-L", 224, "ViTamin-L"),
    Rival("OpenAI ViT-B/16", "CLIP ViT-B/16", 224, "ViT-B-16 openai"),
)
