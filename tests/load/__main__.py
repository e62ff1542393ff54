"""`python -m tests.load [crowd] [fuzz] [mixed] [faults] [bodies] [rates] [--seconds N] [-m MODEL]`.

Writes what it measured to docs/reliability.json, and fails when a promise of docs/reliability.md
is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tests.load.bodies import bodies
from tests.load.crowd import crowd, rates
from tests.load.faults import full_disk, killed, slow
from tests.load.fuzz import fuzz
from tests.load.mixed import mixed
from tests.load.process import TOP, Server

PAGE = TOP / "docs" / "reliability.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.load")
    every = ["crowd", "fuzz", "mixed", "faults", "bodies"]
    parser.add_argument("what", nargs="*", default=every)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("-m", "--model", default="fastvlm-nano")
    parser.add_argument("--parallel", default="4")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    if {"crowd", "fuzz"} & set(given.what):
        server = Server("--parallel", given.parallel)
        if "crowd" in given.what:
            found["crowd"] = crowd(server, given.seconds, given.seed)
        if "fuzz" in given.what:
            found["fuzz"] = fuzz(server, given.requests, given.seed)
        found["exit_code"] = server.stop()
    if "mixed" in given.what:
        server = Server("--parallel", given.parallel)
        found["mixed"] = mixed(server, 3000, given.seed)
        found["mixed"]["exit_code"] = server.stop()
    if "faults" in given.what:
        found |= {"killed": killed(), "slow": slow(), "full_disk": full_disk()}
    if "bodies" in given.what:
        server = Server()
        found["bodies"] = bodies(server)
        server.stop()
    if "rates" in given.what:
        server = Server("-m", given.model, "--parallel", given.parallel)
        found[f"rates {given.model}, parallel {given.parallel}"] = rates(server, given.seconds)
        server.stop()
    print(json.dumps(found, indent=1))
    kept = json.loads(PAGE.read_text("utf-8")) if PAGE.exists() else {}
    PAGE.write_text(json.dumps(kept | found, indent=1) + "\n", "utf-8")
    broken = list(_broken(found))
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


def _broken(found: dict[str, Any]) -> Any:
    """The promises that were not kept."""
    if one := found.get("crowd"):
        kept = {"200", "429", "gone"}
        if bad := {name for name in one["statuses"] if name.split()[1] not in kept}:
            yield f"answers {bad}"
        if one["stuck_clients"] or one["still_active"] or one["still_waiting"]:
            yield "requests are stuck"
        if one["memory_last_quarter_mb"] > 1.1 * one["memory_second_quarter_mb"]:
            yield "memory grows"
    one = found.get("fuzz", {"statuses": (), "same_process": True})
    if any(status >= "500" for status in one["statuses"]) or not one["same_process"]:
        yield "malformed requests break it"
    if one := found.get("mixed"):
        if any(status.endswith("500") for status in one["statuses"]) or not one["same_process"]:
            yield "attacks break it"
        if one["health_worst"] > 1:
            yield f"/health took {one['health_worst']} s"
        if one["memory_last_third_mb"] > 1.15 * one["memory_second_third_mb"]:
            yield "memory grows under attack"
        if one["still_active"] or one["exit_code"]:
            yield "something hangs after the attacks"
    one = found.get("slow", {"answer_meanwhile": 200, "cut_off_after_seconds": 0})
    if one["answer_meanwhile"] != 200 or one["cut_off_after_seconds"] is None:
        yield "slow clients hold it up"
    for name, one in found.get("bodies", {}).items():
        if one["status"] not in (200, 400, 413) or one["seconds"] > 2 or one["mb_more"] > 200:
            yield f"a body costs too much: {name} {one}"
    if found.get("full_disk", {}).get("all_200") is False:
        yield "a full disk stops it"
    if found.get("killed", {}).get("answer_after_restart", 200) != 200:
        yield "it doesn't come back"


if __name__ == "__main__":
    raise SystemExit(main())
