"""What a server allows, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["STATIC", "Settings"]

STATIC = Path(__file__).parent / "static"  # the built page


@dataclass(frozen=True)
class Settings:
    """Limits of a server; the defaults suit one person's computer.

    parallel: replies at once; queue: requests that wait for a turn; timeout: seconds a request may
    take, the wait included.  body_bytes: of one request; held_bytes: of all that are being read
    or answered; held_each: of those from one address; body_seconds: until a body must be complete.
    context: positions of prompt and reply together, what FastVLM was trained with.  pictures: in
    one conversation.  inputs: of one request for embeddings; embedded: pictures among them.
    grace: seconds from being stopped to the end.
    hosts: names, besides the loopback's, that requests may use; any_address: numeric ones too.
    """

    api_key: str | None = None
    hosts: tuple[str, ...] = ()
    any_address: bool = False
    allow_remote_images: bool = False
    parallel: int = 4
    queue: int = 64
    timeout: float = 300.0
    body_bytes: int = 32 << 20
    held_bytes: int = 256 << 20
    held_each: int = 160 << 20
    body_seconds: float = 30.0
    context: int = 8192
    pictures: int = 16
    inputs: int = 256
    embedded: int = 64
    labels: int = 1000
    kept_pictures: int = 64
    grace: float = 10.0
    static: Path = STATIC
