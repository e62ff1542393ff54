"""A bucket that this machine plays (needs moto), and refuses what it is told to."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from galago.scale import addresses

__all__ = ["Played", "played"]


class Played:
    """`client`: boto3's, for s3://photos; `refusing`: of these requests ("PUT /photos/out/a.tar")
    says which are refused, and `refusal` how: status, code and message."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.client: Any = None
        self.refused: list[str] = []
        self.refusing: Callable[[str], bool] = lambda _: False
        self.refusal = ("503 Slow Down", "SlowDown", "Reduce your request rate.")

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        if not self.refusing(asked):
            return self._app(environ, start)
        self.refused.append(asked)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code, message = self.refusal
        start(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()]

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="photos", Key=key, Body=data)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket="photos", Key=key)["Body"].read()
        return data

    def keys(self, prefix: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket="photos", Prefix=prefix).get("Contents", [])
        return [str(one["Key"]) for one in found]


@contextlib.contextmanager
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    """s3://photos, empty, for this process and those that it starts."""
    moto: Any = pytest.importorskip("moto.server", reason="needs moto")
    boto3: Any = pytest.importorskip("boto3", reason="needs moto")
    pytest.importorskip("pyarrow", reason="needs the extra cluster")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    addresses.opened.cache_clear()
    # Every server of a process has one memory: what another test put there goes.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    bucket = Played(server._server.app)
    server._server.app = bucket
    bucket.client = boto3.client("s3")
    bucket.client.create_bucket(Bucket="photos")
    yield bucket
    addresses.opened.cache_clear()
    server.stop()
