"""The README of an exported folder: what it is, whose, how it was proved, how it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from galago.checkpoints.clip import ClipCheckpoint
from galago.checkpoints.vlm import Checkpoint
from galago.export.card_head import head
from galago.export.clip_figures import ClipProof
from galago.export.fastvlm import DTYPES, GRAPHS, file_name
from galago.export.figures import UNASKED, Proof
from galago.export.mobileclip import CLIP_DTYPES, CLIP_GRAPHS, clip_file
from galago.export.overflow import BOUND, Measured
from galago.hub.resolve import ResolvedModel

__all__ = ["fastvlm_card", "mobileclip_card"]

_USE = """\
```js
import {{
  AutoProcessor, LlavaForConditionalGeneration, load_image,
}} from "@huggingface/transformers";

const model = "path/to/this/folder";
const processor = await AutoProcessor.from_pretrained(model);
const vlm = await LlavaForConditionalGeneration.from_pretrained(model, {{ dtype: "{dtype}" }});
const prompt = processor.apply_chat_template(
  [{{ role: "user", content: "<image>\\nDescribe the image in English." }}],
  {{ add_generation_prompt: true }},
);
const picture = await load_image("photo.jpg");
const inputs = await processor(picture, prompt, {{ add_special_tokens: false }});
const output = await vlm.generate({{ ...inputs, max_new_tokens: 128 }});
console.log(processor.batch_decode(
  output.slice(null, [inputs.input_ids.dims.at(-1), null]), {{ skip_special_tokens: true }})[0]);
```
"""

_NARROW_TOWERS = (
    "int8 and q8 store matrices and kernels in int8 with one scale a row and widen them when they "
    "are loaded: activations stay floating point, as towers lose what they know otherwise."
)
_USE_CLIP = """\
```js
import {{
  AutoProcessor, AutoTokenizer, CLIPTextModelWithProjection, CLIPVisionModelWithProjection,
  load_image,
}} from "@huggingface/transformers";

const model = "path/to/this/folder";
const dtype = "{dtype}";
const tokenizer = await AutoTokenizer.from_pretrained(model);
const processor = await AutoProcessor.from_pretrained(model);
const words = await CLIPTextModelWithProjection.from_pretrained(model, {{ dtype }});
const pictures = await CLIPVisionModelWithProjection.from_pretrained(model, {{ dtype }});
const texts = tokenizer(["a dog", "a cat"], {{ padding: "max_length", truncation: true }});
const {{ text_embeds }} = await words(texts);
const {{ image_embeds }} = await pictures(await processor(await load_image("photo.jpg")));
```
"""


def fastvlm_card(
    model: ResolvedModel,
    source: Checkpoint,
    graphs: Path,
    proofs: Sequence[Proof],
    measured: Measured,
) -> str:
    """The text; sizes are looked up among the written graphs."""
    told = "; then both were asked ready questions, and equal answers were counted"
    if not proofs[0].asked:
        told = f". Answers were not compared: {UNASKED}"
    lines = [
        *head(model, "ONNX"),
        f"Pictures: {source.spec.image.side} px square. Graphs: `pixel_values` (batch, 3, height, "
        "width) to `image_features`; `input_ids` to `inputs_embeds`; the decoder with its cache, "
        "logits of the last token.",
        "",
        "## How it was checked",
        "",
        "Each file was read back by OpenVINO and compared with the source in float32, on three "
        f"pictures and a passage of text{told}.",
        "",
        "| dtype | vision | embedding | decoder | feature cosine, least | features within | "
        "next token agrees | KL | same answers |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for proof in proofs:
        sizes = (_size(graphs, file_name(graph, DTYPES[proof.dtype])) for graph in GRAPHS)
        check = proof.check
        same = f"{proof.same} of {proof.asked}" if proof.asked else "–"
        lines.append(
            f"| {proof.dtype} | {' | '.join(sizes)} | {check.cosine_min:.5f} | {proof.error:.1e} | "
            f"{check.top1:.1%} of {check.decided} | {check.kl:.4f} | {same} |"
        )
    lines += ["", *_precision(measured), "", "## Use", "", _USE.format(dtype=proofs[0].dtype)]
    lines += [*_programs(), ""]
    return "\n".join(lines)


def mobileclip_card(
    model: ResolvedModel, source: ClipCheckpoint, graphs: Path, proofs: Sequence[ClipProof]
) -> str:
    """The text; sizes are looked up among the written graphs."""
    spec = source.spec
    lines = [
        *head(model, "ONNX"),
        f"Pictures: {spec.image.side} px square; texts: {spec.text.context} ids, zeros behind the "
        f"end. Vectors of {spec.embed} numbers, to be brought to unit length; the scale of logits "
        f"is exp({source.logit_scale:.4f}). Graphs: `pixel_values` to `image_embeds`, `input_ids` "
        "to `text_embeds`.",
        "",
        "## How it was checked",
        "",
        "Each file was read back by OpenVINO and its vectors compared with the source's in "
        f"float32, of {proofs[0].asked} pictures and some texts.",
        "",
        "| dtype | vision | text | least cosine, pictures | least cosine, texts | same best text |",
        "|---|---|---|---|---|---|",
    ]
    for proof in proofs:
        sizes = (_size(graphs, clip_file(graph, CLIP_DTYPES[proof.dtype])) for graph in CLIP_GRAPHS)
        lines.append(
            f"| {proof.dtype} | {' | '.join(sizes)} | {proof.image_cosine:.6f} | "
            f"{proof.text_cosine:.6f} | {proof.same} of {proof.asked} |"
        )
    lines += ["", _NARROW_TOWERS, "", "## Use", "", _USE_CLIP.format(dtype=proofs[0].dtype)]
    return "\n".join([*lines, ""])


def _precision(measured: Measured) -> list[str]:
    wide = (
        f"from the stage `{measured.wide_from}` on they compute in float32"
        if measured.wide_from
        else "all stages compute in float16"
    )
    return [
        f"The largest magnitude in the trunk on those pictures is {measured.most:,.0f}; a stage "
        f"above {BOUND:,.0f} would leave float16 (65,504) too little room. "
        f"In fp16 and q4f16 {wide}.",
        "",
        "int8, q8 and q4 store the trunk in int8 with one scale a channel and widen it when they "
        "are loaded; convolutions always compute in floating point.",
    ]


def _programs() -> list[str]:
    return [
        "transformers.js 4 runs every dtype; its version 3.7 runs fp32, fp16, int8, q4 and q4f16 "
        "(q8 multiplies in 8 bits, for which it has no kernel). ONNX Runtime and OpenVINO run the "
        "files too. transformers.js resamples pictures in its own way and pads at one side: who "
        "prepares the square exactly gets exactly the answers of galago.",
    ]


def _size(graphs: Path, name: str) -> str:
    size = sum(path.stat().st_size for path in graphs.glob(f"{name}*"))
    return f"{size / 1e6:,.1f} MB"
