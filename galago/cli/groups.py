"""Groups of commands that say in a line of their own what they don't have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from galago.errors import OptionError

__all__ = ["Group"]


class Group(TyperGroup):
    """As Typer's, with a hint for a word that isn't there."""

    def unknown(self, name: str) -> str:
        """What is said of it."""
        raise NotImplementedError

    if not TYPE_CHECKING:  # its types differ between Typer's versions

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """As Typer's; OptionError for a word that isn't there."""
            name = args[0]
            if self.get_command(ctx, name) is None and not name.startswith("-"):
                if ctx.resilient_parsing:  # while a shell completes
                    return None, None, args[1:]
                raise OptionError(self.unknown(name))
            return super().resolve_command(ctx, args)
