"""A model hub on this machine's loopback: what huggingface_hub asks for, and nothing more."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest


class Hub:
    """Serves one repository from a folder; counts requests, and can break a download off."""

    def __init__(self, repo: str, folder: Path, licence: str = "apple-amlr") -> None:
        self.repo, self.folder, self.licence = repo, folder, licence
        self.asked: list[str] = []
        self.fetched: list[str] = []
        # Bytes of a large file until the connection drops, a number a connection; then no more.
        self.break_after: list[int] = []
        self.broken = False  # answers every question with a fault of its own
        self.gated = False  # asks everybody to accept terms first
        self.lie: Callable[[dict[str, Any]], object] = lambda info: None  # changes what it says
        # What it says about its model instead of the truth: the bytes, and headers.
        self.instead: tuple[bytes, dict[str, str]] | None = None
        self.url = ""

    @property
    def sha(self) -> str:
        names = "".join(f"{p.name}{p.stat().st_size}" for p in self.files())
        return hashlib.sha1(names.encode()).hexdigest()

    def files(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if p.is_file())

    @contextmanager
    def serving(self) -> Iterator[Hub]:
        hub = self

        class Handler(_Handler):
            served = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        hub, path = self.served, urlsplit(self.path).path
        hub.asked.append(path)
        api = f"/api/models/{hub.repo}"
        if hub.broken:
            self.send(b"{}", body, 500)
        elif hub.gated:
            self.send(b"{}", body, 403, {"X-Error-Code": "GatedRepo"})
        elif path in (api, f"{api}/revision/main", f"{api}/revision/{hub.sha}"):
            data, headers = hub.instead or (json.dumps(self.info()).encode(), {})
            self.send(data, body, headers=headers)
        elif path == f"{api}/tree/{hub.sha}":
            rows = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": etag(p)}
                for p in hub.files()
            ]
            self.send(json.dumps(rows).encode(), body)
        elif path.startswith(f"/{hub.repo}/resolve/{hub.sha}/"):
            self.send_file(hub.folder / path.rsplit("/", 1)[1], body)
        else:
            self.send(b"{}", body, 404, {"X-Error-Code": "RepoNotFound"})

    def info(self) -> dict[str, Any]:
        hub = self.served
        siblings = [sibling(p) for p in hub.files()]
        info = {
            "_id": "1", "id": hub.repo, "sha": hub.sha, "siblings": siblings, "tags": [],
            "private": False, "downloads": 0, "likes": 0, "cardData": {"license": hub.licence},
        }  # fmt: skip
        hub.lie(info)
        return info

    def send(
        self, data: bytes, body: bool, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def send_file(self, path: Path, body: bool) -> None:
        hub, data = self.served, path.read_bytes()
        start = 0
        if body and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{etag(path)}"')
        self.send_header("X-Repo-Commit", hub.sha)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if not body:
            return
        hub.fetched.append(f"{path.name}@{start}")
        if hub.break_after and len(data) > 100_000:
            self.wfile.write(data[start : start + hub.break_after.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[start:])


def connect(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let galago ask the hub at this address, and no other."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Small pieces and no pauses, so that resuming shows with a small file and at once.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    # The client reads its endpoint when imported; later it must be told.
    real, link = huggingface_hub.HfApi, huggingface_hub.hf_hub_url
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: real(endpoint=url))
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_url", lambda *a, **k: link(*a, **{**k, "endpoint": url})
    )


@contextmanager
def online_hub(repo: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves one repository from a folder, and a client that may ask it."""
    with Hub(repo, source).serving() as served:
        connect(served.url, monkeypatch)
        yield served


def clip_repository(model: Path, folder: Path) -> Path:
    """A MobileCLIP as published, beside things that must stay there; returns the folder."""
    shutil.copytree(model, folder)
    for name in ("config.json", "tokenizer.json", "README.md", "code.py", "LICENSE"):
        (folder / name).write_text("{}")
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"never fetched")
    (folder / "other.pt").write_bytes(b"never fetched")
    return folder


def vlm_repository(model: Path, folder: Path) -> Path:
    """A FastVLM as published: weights and texts, and things that must stay there."""
    shutil.copytree(model, folder)
    (folder / "llava_qwen.py").write_text("raise SystemExit('never run')")
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    (folder / "LICENSE").write_text("research only")
    return folder


def no_network(*_: object, **__: object) -> None:
    """Put in the place of what may not be used."""
    raise AssertionError("the hub was contacted")


def etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def sibling(path: Path) -> dict[str, Any]:
    """As the hub lists a file: a large one with the hash of its content."""
    row: dict[str, Any] = {"rfilename": path.name, "size": path.stat().st_size}
    if path.suffix == ".safetensors":
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        row["lfs"] = {"sha256": digest, "size": row["size"], "pointerSize": 130}
    return row
