"""The local server: OpenAI's API for one FastVLM and one MobileCLIP, and the page (extra `serve`).

Everything heavy is passed in (`Parts`); routes are async and thin, work runs in the scheduler's
threads.  docs/server.md says how it is used and what it refuses.
"""

from galago.server.parts import Parts
from galago.server.settings import Settings

__all__ = ["Parts", "Settings"]
