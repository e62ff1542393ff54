"""What `galago evaluate` asks: somebody's data read and checked, what is wrong with it told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galago.cli.terminal import say, stages

if TYPE_CHECKING:
    from galago.evaluate.compare import Judged
    from galago.evaluate.items import Asking, Items

__all__ = ["items_asked"]


def items_asked(
    place: str,
    images: str | None,
    question: str | None,
    asking: Asking,
    before: tuple[str, list[Judged]] | None = None,
) -> Items:
    """What is asked; what is wrong with rows is told line by line.

    OptionError for data that can't be read or asked, or of which an earlier run was asked nothing.
    """
    from galago.evaluate.compare import check_shared
    from galago.evaluate.items import FaultyItemsError, items_of
    from galago.rows.read import read_data

    with stages() as progress:
        data = read_data(place, images=images, question=question, several=True)
        try:
            items = items_of(data, asking, progress)
        except FaultyItemsError as error:
            say(*error.lines)
            raise
    count = len(items.items)
    say(f"{data.kind}: {count:,} {'question' if count == 1 else 'questions'}", *items.notes)
    if before is not None:
        check_shared(before, items.items)
    return items
