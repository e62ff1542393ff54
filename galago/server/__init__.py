"""The local server: OpenAI's API for one FastVLM and one MobileCLIP, and the page (extra `serve`).

Everything heavy is passed in (`Engines`); routes are async and thin, work runs in the scheduler's
threads.  docs/server.md says how it is used and what it refuses.
"""

from galago.server.parts import Engines
from galago.server.settings import Settings

__all__ = ["Engines", "Settings"]
