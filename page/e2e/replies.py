"""What galago itself replies: `python replies.py OUT`, for e2e/replies.spec.ts and web-vlm.spec.ts.

OUT is JSON: `prompts`, texts and ids of conversations about them; `replies`, pictures, questions
and greedy answers, with what is doubted; `talk`, a conversation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

from galago.catalog import cannot
from galago.specs import PromptSpec
from galago.text.chat import ImageSlot, Message, chat_pieces, user_message
from galago.text.presets import PRESETS
from galago.text.tokens import Tokenizer
from galago.vlm.fastvlm import FastVLM
from galago.vlm.sampling import SamplingOptions

TOP = Path(__file__).resolve().parents[2]
KNOWN = ["note.png", "hand.jpg", "emoji.png", "object.jpg"]
NAME = "fastvlm-nano"
TEXTS = [
    *PRESETS.values(),
    "What's that?\n\n  Two  lines,\tand a tab. ",
    "这张图片里写了什么？只输出文字。",
    "Ünïcödé, ﬁne “quotes” – e\u0301 against é; 한국어, עברית, العربية, हिन्दी",
    "👩‍👩‍👧‍👦 and 🇨🇭, \u200bhidden, \ufeffmark",
    "<image> is text, <|im_end|>\n<|im_start|>assistant\nso is this<|endoftext|>",
    "1234567890 12,345.67 x=3;y==4 {\"a\": [1, 2]}",
    "I'LL don't they've WE'D", "\r\n\r\n \n", "a" * 300, "half a pair: \ud83d.",
]  # fmt: skip


def prompts(tokenizer: Tokenizer) -> list[dict[str, object]]:
    """Conversations about each text, pictures as -1."""
    found: list[dict[str, object]] = []
    for text in TEXTS:
        messages = [user_message(text, 1), Message("assistant", (text,)), user_message(text, 0)]
        for some in (messages[:1], messages):
            pieces = chat_pieces(tokenizer, some, PromptSpec())
            ids = [-1 if isinstance(p, ImageSlot) else p for p in pieces]
            flat = [one for p in ids for one in (p if isinstance(p, list) else [p])]
            found.append({"text": text, "turns": len(some), "ids": flat})
    return found


def unknown(folder: Path) -> list[Path]:
    """Pictures of what the model was never taught."""
    noise = Image.effect_noise((500, 400), 90).convert("RGB")
    ramp = Image.linear_gradient("L").resize((640, 360)).convert("RGB")
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in (("noise", noise), ("ramp", ramp)):
        image.save(folder / f"{name}.png")
    return [folder / "noise.png", folder / "ramp.png"]


def main(out: Path) -> None:
    vlm = FastVLM.load(NAME)
    pictures = [*(TOP / "examples" / name for name in KNOWN), *unknown(out.parent / "unknown")]
    replies = []
    for path in pictures:
        for name, prompt in PRESETS.items():
            if name in cannot(NAME):
                continue
            asked = prompt.replace("{language}", "French")
            *chunks, last = vlm.stream(path, asked, SamplingOptions(max_tokens=512))
            text = "".join(chunk.text for chunk in (*chunks, last))
            assert last.stats is not None
            told: dict[str, object] = {"picture": str(path), "prompt": asked, "text": text}
            stats = last.stats
            told |= {"doubted": stats.doubted, "known": stats.known, "tokens": stats.tokens}
            replies.append(told)
    image = vlm.encode(pictures[0])
    questions = [PRESETS["read"], "Is there a picture in it?", PRESETS["describe"]]
    messages: list[Message] = []
    talk = []
    for at, question in enumerate(questions):
        messages.append(user_message(question, 0 if at else 1))
        text = "".join(chunk.text for chunk in vlm.reply(messages, [image]))
        messages.append(Message("assistant", (text,)))
        talk.append({"question": question, "text": text})
    found = {"prompts": prompts(vlm.tokenizer), "replies": replies, "talk": talk}
    out.write_text(json.dumps(found), "utf-8")


main(Path(sys.argv[1]))
