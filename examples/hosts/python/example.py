"""Reads the source that `source.json` describes: shows the first row of each table, then how many there are.

The API's key is taken from the environment variable `API_KEY`.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import spile


def main() -> None:
    """Reads all rows."""
    connector = spile.Connector("spile.wasm")
    config = json.loads(Path("source.json").read_text())
    secrets = {"api_key": os.environ["API_KEY"]} if "API_KEY" in os.environ else {}
    counts: Counter[str] = Counter()
    for table, row in connector.rows(config, secrets=secrets, params={"user_id": "acme"}):
        if table not in counts:
            print(table, row)
        counts[table] += 1
    for table, rows in counts.items():
        print(f"{rows:5} {table}")


if __name__ == "__main__":
    try:
        main()
    except spile.SpileError as error:
        sys.exit(str(error))
