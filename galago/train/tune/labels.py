"""A row -> the ids that the model reads and those that it learns to say.

Made of the same pieces as a talk is when galago runs (galago/vlm/conversation.py): questions go
through the chat template, answers are tokenised by themselves, as they are when they are spoken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.rows.rows import Row, RowError
from galago.specs import ImageSpec, PromptSpec, VLMSpec
from galago.text.chat import IM_END, ImageSlot, Piece, chat_pieces
from galago.text.tokens import Tokenizer

__all__ = ["IGNORED", "Example", "Labeller", "image_tokens"]

IGNORED = -100  # of a label that isn't learnt: torch's cross_entropy passes it over


def image_tokens(spec: ImageSpec) -> int:
    """How many tokens a picture takes at the spec's side."""
    return (spec.side // spec.stride) ** 2


@dataclass(frozen=True, eq=False)
class Example:
    """A row as the model reads it.

    ids: int64 (T,), the labeller's `image_id` at the positions of pictures.
    labels: int64 (T,), the id that stands at a position where it is learnt, else IGNORED.  Not
    shifted: the logits of position t - 1 are to say labels[t], as transformers has it.
    starts: where the tokens of each picture begin, in the order of `Row.pictures`; each has
    `per_image`.  cut: how many tokens of answers were left out.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    starts: tuple[int, ...]
    per_image: int
    cut: int = 0

    @property
    def of_images(self) -> NDArray[np.bool_]:
        """Which positions are pictures': bool (T,)."""
        mask = np.zeros(len(self.ids), bool)
        for start in self.starts:
            mask[start : start + self.per_image] = True
        return mask

    @property
    def learnt(self) -> int:
        """How many of the positions are learnt."""
        return int((self.labels != IGNORED).sum())


@dataclass(frozen=True)
class Labeller:
    """What turns rows into examples for one model at one resolution.

    positions: the most that a row may take, the answer included.  cut: whether a longer one loses
    the end of its answers (and what is asked behind it) instead of being refused.
    """

    tokenizer: Tokenizer
    prompt: PromptSpec
    per_image: int
    positions: int
    image_id: int
    cut: bool = False

    @classmethod
    def of(
        cls,
        tokenizer: Tokenizer,
        spec: VLMSpec,
        *,
        positions: int | None = None,
        image_id: int | None = None,
        cut: bool = False,
    ) -> Labeller:
        """For a model whose pictures are looked at with `spec.image.side`.

        positions: fewer than the model's own, to spare memory.  image_id: what stands at the
        positions of pictures, `spec.prompt.image_token_id` unless told.
        """
        most = spec.text.positions
        marked = spec.prompt.image_token_id if image_id is None else image_id
        return cls(
            tokenizer,
            spec.prompt,
            image_tokens(spec.image),
            most if positions is None else min(positions, most),
            marked,
            cut,
        )

    def __call__(self, row: Row) -> Example:
        """RowError for a row with faults, and one that takes more positions than there are."""
        ids: list[int] = []
        labels: list[int] = []
        starts: list[tuple[int, int]] = []  # a picture's place, and where its tokens begin
        for pieces, answer in self._turns(row):
            for piece in pieces:
                if isinstance(piece, ImageSlot):
                    starts.append((piece.index, len(ids)))
                    piece = [self.image_id] * self.per_image
                ids += piece
                labels += [IGNORED] * len(piece)
            ids += answer
            labels += answer
        starts.sort()
        example = Example(
            np.array(ids, np.int64),
            np.array(labels, np.int64),
            tuple(start for _, start in starts),
            self.per_image,
        )
        return example if len(ids) <= self.positions else self._shortened(example, row)

    def _turns(self, row: Row) -> Sequence[tuple[list[Piece], list[int]]]:
        """What is read before each answer, and the answer with the token that ends it."""
        messages = row.messages()
        first = 2 if row.system else 1
        asked = [messages[:first], *([one] for one in messages[first:])]
        turns = []
        for number, (question, turn) in enumerate(zip(asked, row.turns, strict=True)):
            pieces = chat_pieces(self.tokenizer, question, self.prompt, continued=number > 0)
            if number > 0:  # the template closes the reply before: here that reply did so itself
                pieces = [pieces[0][1:], *pieces[1:]]  # type: ignore[index]
            turns.append((pieces, [*self.tokenizer.encode(turn.answer.strip()), self.end_id]))
        return turns

    @property
    def end_id(self) -> int:
        """The token that ends a reply."""
        found = self.tokenizer.token_id(IM_END)
        assert found is not None  # chat_pieces has asked for it
        return found

    def _shortened(self, example: Example, row: Row) -> Example:
        """The same without what stands behind the last position; RowError unless that may be."""
        length, room = len(example.ids), self.positions
        pictures = len(example.starts) * self.per_image
        takes = f"it takes {length} positions ({pictures} of them pictures) and there are {room}"
        if not self.cut:
            raise RowError(row.where, f"{takes}: shorten its answer, or --cut it")
        whole = all(start + self.per_image <= room for start in example.starts)
        kept = Example(example.ids[:room], example.labels[:room], example.starts, self.per_image)
        if not whole or not kept.learnt:
            raise RowError(row.where, f"{takes}: nothing of its answer would be left to learn")
        return Example(
            kept.ids, kept.labels, kept.starts, self.per_image, example.learnt - kept.learnt
        )
