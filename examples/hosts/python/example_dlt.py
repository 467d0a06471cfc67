"""Loads the source that `source.json` describes into `platform.duckdb`, by dlt. When it is run again, nothing doubles.

The API's key is taken from the environment variable `API_KEY`.
"""

import json
import os
from pathlib import Path

import dlt
import spile
from dlt_resource import spile_resource


def main() -> None:
    """Runs the pipeline, and prints how many rows each table has then."""
    connector = spile.Connector("spile.wasm")
    config = json.loads(Path("source.json").read_text())
    records = spile_resource(connector, config, secrets={"api_key": os.environ["API_KEY"]}, params={"user_id": "acme"})
    pipeline = dlt.pipeline(
        "platform",
        destination=dlt.destinations.duckdb("platform.duckdb"),
        dataset_name="api",
        # Beside the database, not in the home folder: the one is of no use without the other.
        pipelines_dir="pipelines",
    )
    pipeline.run(records).raise_on_failed_jobs()
    with pipeline.sql_client() as client:
        for table in pipeline.default_schema.data_table_names():
            [(rows,)] = client.execute_sql(f'SELECT count(*) FROM "{table}"') or []
            print(f"{rows:5} {table}")


if __name__ == "__main__":
    main()
