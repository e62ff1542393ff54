"""llm by OpenAI's API and by our plug-in, MCP over stdio, schemathesis over the schema."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.places import TOP
from tests.load.process import Server

NOTE = TOP / "examples" / "note.png"
READ = "What is written in this image? Output only the text in the image."


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = Server()
    yield one
    assert one.stop() == 0


def llm(folder: Path, *args: str) -> str:
    """What the `llm` command says, with its own folder of settings."""
    pytest.importorskip("llm")
    env = {**os.environ, "LLM_USER_PATH": str(folder), "PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, "-m", "llm", *args],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_llm_by_the_api_of_openai(server: Server, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        "- model_id: here\n  model_name: fastvlm-nano\n  vision: true\n"
        f"  api_base: http://127.0.0.1:{server.port}/v1\n"
    )
    for more in ((), ("--no-stream",)):
        said = llm(tmp_path, "-m", "here", READ, "-a", str(NOTE), "--key", "any", *more)
        assert said.split() == ["Free", "coffee"]


def test_llm_by_the_plug_in(tmp_path: Path) -> None:
    assert "galago" in llm(tmp_path, "models")
    assert llm(tmp_path, "-m", "galago", READ, "-a", str(NOTE)).split() == ["Free", "coffee"]
    assert llm(tmp_path, "-c", "And again?").strip()


def test_mcp_over_stdio(tmp_path: Path) -> None:
    mcp = pytest.importorskip("mcp")
    env = {**os.environ, "PYTHONPATH": str(TOP), "GALAGO_ALBUMS": str(tmp_path)}
    galago = [sys.executable, "-m", "galago"]
    album = ("index", str(TOP / "examples" / "album"))
    subprocess.run([*galago, *album], env=env, check=True, capture_output=True, timeout=120)

    async def talk() -> list[str]:
        started = mcp.StdioServerParameters(command=galago[0], args=[*galago[1:], "mcp"], env=env)
        async with mcp.stdio_client(started) as pipes, mcp.ClientSession(*pipes) as session:
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            assert names == {"describe", "read", "search"}
            said = []
            for name, given in (
                ("read", {"path": str(NOTE)}),
                ("search", {"words": "a banana", "count": 3}),
                ("describe", {"path": "/nowhere.jpg"}),
            ):
                result = await session.call_tool(name, given)
                said.append(" ".join(part.text for part in result.content))
            return said

    read, found, missing = asyncio.run(talk())
    assert read.split() == ["Free", "coffee"]
    assert "IMG_6234.jpg" in found
    assert "no such picture" in missing


def test_the_schema_holds(server: Server) -> None:
    pytest.importorskip("schemathesis")
    # Not every rule has a place in a schema ("the last message is the user's"), so what fits the
    # schema may be refused; everything else that schemathesis checks must hold.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://127.0.0.1:{server.port}/openapi.json",
            *("--max-examples", "30", "--seed", "2026"),
            *("--exclude-checks", "positive_data_acceptance"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert server.ask("GET", "/health").status == 200
