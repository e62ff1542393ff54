"""What can go wrong in a training that nothing else has."""

from __future__ import annotations

from collections.abc import Sequence

from galago.errors import ModelError

__all__ = ["DivergedError", "FullMemoryError"]


class DivergedError(ModelError):
    """The loss, or a weight, is no number any more; `wheres`: the rows of the batch, if known."""

    def __init__(self, step: int, wheres: Sequence[str]) -> None:
        rows = f" at {', '.join(wheres)}" if wheres else ""
        super().__init__(
            f"the training diverged in step {step}{rows}: the loss is no number. What was good is "
            "kept; try a lower --rate (a tenth), with --no-resume, and look at these rows"
        )
        self.step, self.wheres = step, tuple(wheres)


class FullMemoryError(ModelError):
    """There isn't enough memory for a step."""

    def __init__(self, batch: int, where: str) -> None:
        lower = (
            f"lower --batch (it is {batch}) and raise --accumulate as much, " if batch > 1 else ""
        )
        super().__init__(
            f"not enough memory {where}: {lower}add --checkpointing, or lower --resolution or "
            "--rank"
        )
