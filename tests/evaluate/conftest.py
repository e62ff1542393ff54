"""Generated cases: no deadline, as other processes are at work, and nothing left in the folder."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("galago", deadline=None, database=None)
settings.load_profile("galago")
