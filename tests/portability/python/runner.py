"""Runs cases with the example embedder of Python: lines of JSON on standard input, and their steps on standard output.

Usage: runner.py COMPONENT.wasm
"""

import json
import platform
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples/hosts/python"))

import spile


def main() -> None:
    """Answers cases until standard input ends."""
    connector = spile.Connector(sys.argv[1])
    say({"runtime": "Python", "version": platform.python_version(), "parts": {"wasmtime": version("wasmtime")}})
    for line in sys.stdin.buffer:
        case = json.loads(line)
        try:
            run(connector, case)
        except spile.SpileError as error:
            say({"errors": [plain(each) for each in error.errors]} if error.errors else {"error": plain(error)})
        say({"end": case["name"]})


def run(connector: spile.Connector, case: dict[str, Any]) -> None:
    """Does what a case asks for, and tells each step."""
    config = case.get("config", {})
    about: dict[str, Any] = {name: case[name] for name in ("secrets", "params", "bindings") if name in case}
    match case.get("call"):
        case "spec":
            say({"spec": connector.spec()})
        case "describe":
            description = connector.describe(config, **about)
            warnings = [plain(warning) for warning in description.warnings]
            say({"described": {**asdict(description), "warnings": warnings}})
        case "check":
            connector.check(config, **about)
            say({"checked": True})
        case _:
            read(connector, config, about, case)


def read(connector: spile.Connector, config: dict[str, Any], about: dict[str, Any], case: dict[str, Any]) -> None:
    """Reads a source, or as many batches of it as the case wants."""
    names = [name for name in spile.Options.__annotations__ if name not in about]
    options = {name: case[name] for name in names if case.get(name) is not None}
    wanted = case.get("batches")
    batches = connector.batches(config, **about, **options)
    for number, batch in enumerate(batches, 1):
        if batch.summary:
            done = asdict(batch.summary)
            say({"done": {**done, "warnings": [plain(warning) for warning in batch.summary.warnings]}})
        else:
            told = ("table", "resource", "parent", "rows", "roots", "ndjson")
            tables = [{name: getattr(rows, name) for name in told} for rows in batch.tables]
            changes = [asdict(change) for change in batch.changes]
            say({"batch": {"tables": tables, "state": batch.state, "schema": batch.schema, "changes": changes}})
        if number == wanted:
            break
    batches.close()


def plain(error: spile.SpileError) -> dict[str, Any]:
    """The fields of one error."""
    fields = asdict(error)
    del fields["errors"]
    return fields


def say(document: dict[str, Any]) -> None:
    """A line of standard output."""
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
