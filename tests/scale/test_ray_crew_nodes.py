"""Two nodes of a cluster, each in a network namespace: the work of both is that of one process.

`make cluster-nodes` asks for them: root alone makes namespaces, and Ray's start has limits of its
own on a busy machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.killing import many_pictures
from tests.helpers.nodes import HEAD, Nodes, can_have_nodes
from tests.helpers.rays import need_ray

need_ray()
lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
ASKED = os.environ.get("GALAGO_NODES") == "1" and can_have_nodes()
pytestmark = pytest.mark.skipif(not ASKED, reason="needs GALAGO_NODES=1, and root")

PICTURES = 400
MODEL = ("-m", "mobileclip2-nano", "--batch", "4")
EMBED = (sys.executable, "-m", "galago", "embed")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with Nodes(tmp_path_factory.mktemp("nodes")) as both:
        for name in "ab":
            started = both.start(name)
            assert started.returncode == 0, started.stdout
        yield both


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = many_pictures(tmp_path_factory.mktemp("in") / "pictures", PICTURES, (1600, 1200))
    (folder / "bad.jpg").write_bytes(b"no picture")
    return str(folder)


@pytest.fixture(scope="module")
def alone(nodes: Nodes, pictures: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The rows that one process makes."""
    out = str(tmp_path_factory.mktemp("out") / "alone.lance")
    assert nodes.run("a", *EMBED, pictures, out, *MODEL).returncode == 1  # one is no picture
    return rows_of(out)


def rows_of(out: str) -> Any:
    return lance.dataset(out).to_table().sort_by("path")


def assert_same(rows: Any, alone: Any) -> None:
    # As values: the words of a column may stand in another order in its dictionary.
    told, asked = (table.drop_columns(["vector"]).to_pylist() for table in (rows, alone))
    assert told == asked
    dim = alone.schema.field("vector").type.list_size
    one, other = (
        np.array([row or [0.0] * dim for row in table["vector"].to_pylist()])
        for table in (rows, alone)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)  # eight others are in the model with it


def test_rows_of_two_nodes_are_those_of_one_process(
    nodes: Nodes, pictures: str, alone: Any, tmp_path: Path
) -> None:
    out = str(tmp_path / "two.lance")
    running = nodes.begin("a", *EMBED, pictures, out, *MODEL, "--ray", f"{HEAD}:6379")
    assert nodes.at_work("a") and nodes.at_work("b")
    said, _ = running.communicate()
    assert running.returncode == 1, said
    assert_same(rows_of(out), alone)


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_a_node_that_goes_takes_nothing_with_it(
    how: str, nodes: Nodes, pictures: str, alone: Any, tmp_path: Path
) -> None:
    out = str(tmp_path / "one.lance")
    running = nodes.begin("a", *EMBED, pictures, out, *MODEL, "--ray", f"{HEAD}:6379")
    assert nodes.at_work("b")
    began = time.monotonic()
    if how == "killed":
        assert nodes.kill("b") > 2
    else:
        nodes.cut()
    said, _ = running.communicate()
    print(f"\na node {how}: the other ended in {time.monotonic() - began:.0f} s; {said.strip()}")
    assert running.returncode == 1, said
    assert_same(rows_of(out), alone)
    nodes.kill("b")
    nodes.mend()
    assert nodes.start("b").returncode == 0
    more = Path(pictures) / "more.jpg"
    more.write_bytes((Path(pictures) / "0000" / "000000.jpg").read_bytes())
    try:
        told = nodes.run("a", *EMBED, pictures, out, *MODEL, "--ray", f"{HEAD}:6379")
    finally:
        more.unlink()
    assert told.returncode == 0 and "1 new" in told.stdout, told.stdout
    assert lance.dataset(out).count_rows() == PICTURES + 2


def test_a_node_with_another_galago_is_refused_by_its_name(
    nodes: Nodes, pictures: str, alone: Any, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import galago.version\ngalago.version.__version__ = '0.0.9'\n"
    )
    nodes.kill("b")
    assert nodes.start("b", path=str(tmp_path)).returncode == 0
    out = str(tmp_path / "out.lance")
    told = nodes.run("a", *EMBED, pictures, out, *MODEL, "--ray", f"{HEAD}:6379")
    assert told.returncode == 2, told.stdout
    assert "node-b has galago 0.0.9 and this machine" in told.stdout
    assert "Traceback" not in told.stdout
    if Path(out).exists():  # this machine's worker may have begun before the other one was there
        known = alone["path"].to_pylist()
        assert {*rows_of(out)["path"].to_pylist()} < {*known}


def test_another_ray_is_refused(nodes: Nodes, pictures: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import ray\nray.__version__ = '2.59.0'\n")
    nodes.kill("b")
    started = nodes.start("b", path=str(tmp_path))
    assert started.returncode != 0 and "2.59.0" in started.stdout
    address = f"{HEAD}:6379"
    told = nodes.run(
        "a", *EMBED, pictures, str(tmp_path / "out.lance"), *MODEL, "--ray", address,
        path=str(tmp_path),
    )  # fmt: skip
    assert told.returncode == 2 and "2.59.0" in told.stdout, told.stdout
