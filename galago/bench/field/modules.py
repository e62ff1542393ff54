"""The field's towers and decoders as PyTorch modules: timm's and transformers' own."""

from __future__ import annotations

from functools import partial
from typing import Any

from galago.bench.field.models import Decoder
from galago.bench.field.timing import filled, pool
from galago.bench.field.towers import ConvNeXt, Plain, Tower, ViTamin
from galago.checkpoints.writing import timm_args
from galago.specs import MCI0, MCI2, MCI4, FastViTSpec

__all__ = ["decoder_model", "tower_model", "with_values"]

_NAMED = {MCI0: "fastvit_mci0", MCI2: "fastvit_mci2", MCI4: "fastvit_mci4"}


def tower_model(seen: Tower, side: int) -> Any:
    """timm's module without values, what it hands on as galago.bench.field.graphs gives it."""
    import torch

    with torch.device("meta"):
        made = _model(seen, side)
    pooled = isinstance(seen, ViTamin) or (isinstance(seen, Plain) and seen.pooled)

    class Seen(torch.nn.Module):  # type: ignore[misc]
        """The tower without a classifier."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = made

        def forward(self, pixels: Any) -> Any:
            out = self.inner.forward_features(pixels)
            return self.inner.forward_head(out, pre_logits=True) if pooled else out

    return Seen().eval()


def _model(seen: Tower, side: int) -> Any:
    import timm
    from timm.layers import LayerNorm, LayerNorm2d
    from timm.models.convnext import ConvNeXt as TimmConvNeXt
    from timm.models.convnext import ConvNeXtStage

    if isinstance(seen, FastViTSpec):
        named = _NAMED.get(seen)
        args = {} if named else timm_args(seen)
        return timm.create_model(
            named or "fastvit_mci3", inference_mode=True, num_classes=0, **args
        )
    if isinstance(seen, ConvNeXt):
        made = TimmConvNeXt(depths=seen.depths[:4], dims=seen.widths[:4], num_classes=0)
        made.norm_pre, made.head = _nothing(), _nothing()
        for stage in range(4, len(seen.depths)):  # ConvLLaVA's fifth
            before, width = seen.widths[stage - 1 : stage + 1]
            norms = {"norm_layer": LayerNorm2d, "norm_layer_cl": LayerNorm}
            added = ConvNeXtStage(before, width, 7, 2, seen.depths[stage], **norms)
            made.stages.append(added)
        return made
    return _plain(seen, side) if isinstance(seen, Plain) else _vitamin(seen, side)


def _nothing() -> Any:
    import torch

    return torch.nn.Identity()


def _plain(seen: Plain, side: int) -> Any:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=side,
        patch_size=seen.patch,
        embed_dim=seen.width,
        depth=seen.layers,
        num_heads=seen.heads,
        mlp_ratio=seen.hidden / seen.width,
        class_token=seen.class_token,
        pre_norm=seen.pre_norm,
        init_values=0.2 if seen.scaled else None,
        global_pool="map" if seen.pooled else "",
        norm_layer=_norm(seen.eps),
        final_norm=True,
        num_classes=0,
    )


def _norm(eps: float) -> Any:
    from timm.layers import LayerNorm

    return partial(LayerNorm, eps=eps)


def _vitamin(seen: ViTamin, side: int) -> Any:
    from timm.layers import HybridEmbed
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vitamin import GeGluMlp, MbConvStages, VitCfg, VitConvCfg

    config = VitCfg(
        embed_dim=(seen.stem, 2 * seen.stem, seen.width),
        depths=(*seen.depths, 1),
        stem_width=seen.stem,
        conv_cfg=VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6),
        head_type="1d",
    )
    return VisionTransformer(
        img_size=side,
        embed_dim=seen.width,
        depth=seen.layers,
        num_heads=seen.heads,
        mlp_layer=GeGluMlp,
        mlp_ratio=2.0,
        class_token=False,
        global_pool="avg",
        embed_layer=partial(HybridEmbed, backbone=MbConvStages(config), proj=False),
        patch_size=1,
        num_classes=0,
    )


def decoder_model(told: Decoder) -> Any:
    """transformers' module without values."""
    import torch
    import transformers

    spec, kinds = told.spec, {"qwen2": "Qwen2", "llama": "Llama", "phi": "Phi"}
    made: dict[str, Any] = {
        "hidden_size": spec.hidden,
        "intermediate_size": spec.intermediate,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "vocab_size": spec.vocab,
        "tie_word_embeddings": spec.tied,
    }
    if told.kind != "phi":  # whose angles turn half of a head only, as its defaults say
        made["rms_norm_eps"] = spec.rms_eps
        made["rope_parameters"] = {"rope_type": "default", "rope_theta": spec.rope_theta}
    name = kinds[told.kind]
    config = getattr(transformers, f"{name}Config")(**made)
    with torch.device("meta"):
        model = getattr(transformers, f"{name}ForCausalLM")(config)
    # Its angles are no parameters, and would be left without values.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return model.eval()


def with_values(model: Any, dtype: Any) -> Any:
    """The module with random values, layer by layer in its number format."""
    import torch

    numbers = pool()
    for module in model.modules():
        for name, tensor in [*module.named_parameters(recurse=False)]:
            if tensor.is_meta:
                array = torch.from_numpy(filled(name, tuple(tensor.shape), numbers)).to(dtype)
                setattr(module, name, torch.nn.Parameter(array, requires_grad=False))
        for name, tensor in [*module.named_buffers(recurse=False)]:
            if tensor.is_meta:
                value = float("var" in name)
                module.register_buffer(name, torch.full(tensor.shape, value, dtype=dtype))
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    return model
