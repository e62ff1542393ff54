"""What is asked about a picture and what the right answer is: prompts, phrases, the vocabulary."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from galago.text.presets import PRESETS
from galago.text.tokenizer_json import QWEN2_WORDS
from galago.train.nano.data.tasks import Sample

NUMBERS = ("no", "one", "two", "three", "four", "five")
NO_TEXT = "There is no text."
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

READ = (
    PRESETS["read"],
    "What is written in this image?",
    "What does it say?",
    "What does the sign say?",
    "What does the note say?",
    "Read the text.",
    "Transcribe the text in this image.",
)
COUNT = (
    PRESETS["count"],
    "How many fingers am I holding up?",
    "How many fingers?",
    "How many fingers are raised? Answer with a number.",
)
DESCRIBE = (PRESETS["describe"], "Describe the image.", "Describe this picture.")
BRIEF = (PRESETS["brief"], "Describe the image briefly.", "What is in the picture?")
NAME = (
    "What is this?",
    "What does this picture show?",
    "Name the object in this image.",
    "What does the emoji show?",
)
WORDS = ("How many words?", "How many words are there?")
ASKED_KIND = {
    "object": "Is this a photo?",
    "fingers": "Is there a hand in the image?",
    "emoji": "Is this an emoji?",
    "text": "Is there text in the image?",
}


@dataclass(frozen=True)
class Spoken:
    """A question and its answer; parts in `spelled` positions are tokenised letter by letter.

    Letters are what the encoder sees, so what is read is spelled; fixed phrases use whole words.
    """

    prompt: str
    answer: tuple[tuple[str, bool], ...]

    @property
    def text(self) -> str:
        return "".join(part for part, _ in self.answer)


PLURALS = {"leopards", "airplanes", "motorbikes", "scissors", "pants", "shoes", "shorts"}
DRINKS = {"milk", "juice", "yoghurt", "soyghurt", "oatghurt", "cream"}
MANY = {"hearts", "eyes", "hands", "points"}
PLURALS |= {"satsumas", "carrots", "garlic", "ginger", "asparagus", "outwear", "jeans", "books"}


def phrase(label: str) -> str:
    """A label as it stands in a sentence: "a sunflower", "an orange", "scissors"."""
    if label in PLURALS or label.rsplit(" ", 1)[-1] in DRINKS | MANY:
        return label
    return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


def speak(sample: Sample, rng: random.Random) -> Spoken:
    """A random question about a sample that its truth can answer."""
    chance = rng.random()
    if sample.kind == "scene":  # who knows what hands and letters are in it
        return _speak_scene(sample, rng)
    if chance < 0.03:
        asked = rng.choice(list(ASKED_KIND))
        shown = sample.kind == asked and sample.present
        return _said(ASKED_KIND[asked], "Yes." if shown else "No.")
    if chance < 0.06 and sample.kind != "fingers":
        return _said(rng.choice(COUNT), "0")
    if chance < 0.09 and sample.kind not in ("text", "object"):  # objects carry real lettering
        return _said(rng.choice(READ), NO_TEXT)
    return _SPEAKERS[sample.kind](sample, rng)


def _said(prompt: str, answer: str) -> Spoken:
    return Spoken(prompt, ((answer, False),))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _speak_named(sample: Sample, rng: random.Random) -> Spoken:
    kind = "A photo of" if sample.kind == "object" else "An emoji of"
    chance = rng.random()
    if chance < 0.4:
        return _said(_pick(DESCRIBE, rng), f"{kind} {phrase(sample.answer)}.")
    if chance < 0.8:
        return _said(_pick(BRIEF, rng), f"{_capital(phrase(sample.answer))}.")
    return _said(rng.choice(NAME), f"{_capital(phrase(sample.answer))}.")


def _speak_fingers(sample: Sample, rng: random.Random) -> Spoken:
    if not sample.present or rng.random() < 0.7:
        return _said(_pick(COUNT, rng), sample.answer)
    count = int(sample.answer)
    seen = f"holding up {NUMBERS[count]} finger{'s' * (count > 1)}" if count else "making a fist"
    if rng.random() < 0.5:
        return _said(_pick(DESCRIBE, rng), f"A photo of a hand {seen}.")
    return _said(_pick(BRIEF + NAME[:2], rng), f"A hand {seen}.")


def _speak_text(sample: Sample, rng: random.Random) -> Spoken:
    chance = rng.random()
    if chance < 0.8:
        return Spoken(_pick(READ, rng), ((sample.answer, True),))
    flat = sample.answer.replace("\n", " ")
    if chance < 0.86:
        return _said(rng.choice(WORDS), str(len(flat.split())))
    start = "A picture of text that says: " if chance < 0.93 else "Text that says: "
    prompt = _pick(DESCRIBE if chance < 0.93 else BRIEF, rng)
    return Spoken(prompt, ((start, False), (flat, True)))


def _speak_scene(sample: Sample, rng: random.Random) -> Spoken:
    """Its caption; in short, or by name, the chief thing in it."""
    chance = rng.random()
    if chance < 0.03:
        return _said(ASKED_KIND["emoji"], "No.")
    if chance < 0.55:
        return _said(_pick(DESCRIBE, rng), sample.answer)
    chief = f"{_capital(phrase(sample.names[0]))}."
    if chance < 0.85:
        return _said(_pick(BRIEF, rng), chief if rng.random() < 0.5 else sample.answer)
    return _said(rng.choice(NAME[:-1]), chief)


_SPEAKERS = {
    "object": _speak_named,
    "emoji": _speak_named,
    "fingers": _speak_fingers,
    "text": _speak_text,
}


def _pick(prompts: Sequence[str], rng: random.Random) -> str:
    """The preset's own wording half of the time."""
    return prompts[0] if rng.random() < 0.5 else rng.choice(prompts)


def corpus(labels: Sequence[str], system: str, captions: Sequence[str] = ()) -> Iterator[str]:
    """What the vocabulary is made for: the template, every prompt, every fixed phrase, captions."""
    yield from captions
    for _ in range(50):
        yield f"system\n{system}\nuser\nassistant\n"
        yield from (*READ, *COUNT, *DESCRIBE, *BRIEF, *NAME, *WORDS, *ASKED_KIND.values())
        yield from (PRESETS["expression"], PRESETS["translate"], NO_TEXT, "Yes. No.")
        yield from ("A picture of text that says: ", "Text that says: ", "A hand making a fist.")
        yield from (f"A photo of a hand holding up {n} fingers." for n in NUMBERS)
    for label in labels:
        yield from (f"A photo of {phrase(label)}.", f"An emoji of {phrase(label)}.")
        yield f"{_capital(phrase(label))}."


def build_tokenizer(
    out: Path, size: int, labels: Sequence[str], system: str, captions: Sequence[str] = ()
) -> None:
    """A byte-level tokenizer of `size` tokens in `out`/tokenizer.json, with Qwen2's word breaks."""
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated", invert=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(token, special=True) for token in CONTROL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(labels, system, captions), trainer)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
