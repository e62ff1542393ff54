"""A row's picture by its name alone: a file, an address, or what a tar or a table holds."""

from __future__ import annotations

import os
from functools import lru_cache

from galago.errors import GalagoError, ImageError, OptionError
from galago.scale.addresses import check_offline, files_of, is_address, is_web
from galago.scale.items import File, Place, Web
from galago.scale.listing import Listing

__all__ = ["Pictures"]

_PACKED = (".tar", ".parquet")
_OPEN = 4  # tars and tables whose members are known at once


class Pictures:
    """Bytes of pictures by their names; offline: addresses are refused."""

    def __init__(self, offline: bool = False) -> None:
        self._offline = offline
        self._members = lru_cache(_OPEN)(self._listed)

    def read(self, name: str) -> bytes:
        """All bytes; ImageError, which says why, for what can't be read here and now."""
        try:
            if self._offline:
                check_offline(name)
            return self._place(name).read()
        except ImageError:
            raise
        except OSError as error:
            raise ImageError(f"{name} can't be read: {error.strerror or error}") from None
        except (GalagoError, ValueError) as error:
            raise ImageError(f"{name} can't be read: {error}") from None

    def _place(self, name: str) -> Place:
        """A name may hold a # of its own, so a file that is there comes first."""
        if not is_address(name) and os.path.exists(name):
            return File(name)
        outer, _, member = name.rpartition("#")
        if member and outer.lower().endswith(_PACKED):
            found = self._members(outer).get(os.fsencode(name))
            if found is None:
                raise OptionError(f"{outer} has no {member} any more")
            return found
        if is_web(name):
            return Web(name)
        if is_address(name):
            root, path = files_of(name)
            return File(path, root)
        return File(name)

    def _listed(self, outer: str) -> dict[bytes, Place]:
        return {item.name: item.place for item in Listing(outer, offline=self._offline)}
