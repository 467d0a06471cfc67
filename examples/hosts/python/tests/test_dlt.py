"""Tests of the resource of dlt: pipelines into DuckDB."""

import os
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import spile

from .servers import WASM, Api, MockApi

if not find_spec("dlt"):
    raise unittest.SkipTest("dlt is not installed: pip install -r requirements-dlt.txt")

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt_resource import spile_resource


class Dlt(unittest.TestCase):
    connector: spile.Connector

    @classmethod
    def setUpClass(cls) -> None:
        cls.connector = spile.Connector(WASM)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_pipeline(self, config: dict[str, Any], **options: Any) -> None:
        """A run, as a new process has it: all that is known is in the folder."""
        self.pipeline = dlt.pipeline(
            "shop",
            destination=dlt.destinations.duckdb(str(self.folder / "shop.duckdb")),
            dataset_name="api",
            pipelines_dir=str(self.folder / "pipelines"),
        )
        self.pipeline.run(spile_resource(self.connector, config, **options)).raise_on_failed_jobs()

    def rows(self, query: str) -> list[Any]:
        with self.pipeline.sql_client() as client:
            return list(client.execute_sql(query) or [])

    def test_all_tables_and_nothing_twice(self) -> None:
        with MockApi() as api, MockApi("--revision", "1") as later:
            for source in (api, later):
                given = {"secrets": {"api_key": "mock-token"}, "params": {"user_id": "acme"}}
                self.run_pipeline(source.config(), max_rows=40, **given)
                tables = self.pipeline.default_schema.data_table_names()
                counts = {table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}
                self.assertEqual({table: rows for table, rows in counts.items() if rows}, source.expected())
            [(orphans,)] = self.rows(
                "SELECT count(*) FROM app_inputs__data__concepts "
                "WHERE _dlt_parent_id NOT IN (SELECT _dlt_id FROM app_inputs)"
            )
            self.assertEqual(orphans, 0)

    def test_the_next_run_goes_on(self) -> None:
        events: list[Any] = [{"id": 1, "at": "2025-03-01T00:00:00Z", "tags": ["a", "b"]}]
        incremental = {"cursor_path": "at", "initial_value": "2025-01-01T00:00:00Z"}
        resource = {"name": "events", "endpoint": {"path": "events", "incremental": incremental}}
        answers: list[Any] = []
        with Api({"/events": lambda _: answers.pop(0) if answers else events}) as api:
            config = api.config(resource, error_handler={"max_retries": 0})
            self.run_pipeline(config)
            events.append({"id": 2, "at": "2025-03-02T00:00:00Z", "tags": []})
            answers.append((500, {}, {}))
            with self.assertRaisesRegex(PipelineStepFailed, "status 500"):
                self.run_pipeline(config)
            self.run_pipeline(config)
            self.run_pipeline(config)
        self.assertEqual(self.rows("SELECT id FROM events ORDER BY id"), [(1,), (2,)])
        kept = self.pipeline.state["sources"]["shop"]["resources"]["spile"]
        self.assertIn('"events__tags"', kept["schema"])
        self.assertEqual(self.rows("SELECT value FROM events__tags ORDER BY _dlt_list_idx"), [("a",), ("b",)])

    def test_how_rows_are_merged(self) -> None:
        records: list[Any] = [
            {"id": 1, "day": "a", "v": 1},
            {"id": 2, "day": "a", "v": 1},
            {"id": 3, "day": "b", "v": 1},
        ]
        changed: list[Any] = [{"id": 1, "day": "a", "v": 2}, {"id": 4, "day": "a", "v": 2}]
        expected = {
            "append": [(1, 1), (1, 2), (2, 1), (3, 1), (4, 2)],
            "replace": [(1, 2), (4, 2)],
            "delete-insert": [(1, 2), (3, 1), (4, 2)],
            "upsert": [(1, 2), (2, 1), (3, 1), (4, 2)],
            "insert-only": [(1, 1), (2, 1), (3, 1), (4, 2)],
            "scd2": [(1, 2), (4, 2)],
        }
        resources = [
            {
                "name": strategy.replace("-", "_"),
                "endpoint": {"path": "things"},
                **({} if strategy in ("append", "replace", "scd2") else {"primary_key": "id"}),
                **({"merge_key": "day"} if strategy == "delete-insert" else {}),
                "write_disposition": (
                    strategy if strategy in ("append", "replace") else {"disposition": "merge", "strategy": strategy}
                ),
            }
            for strategy in expected
        ]
        with Api({"/things": lambda _: records}) as api:
            self.run_pipeline(api.config(*resources))
            records[:] = changed
            self.run_pipeline(api.config(*resources))
        for strategy, rows in expected.items():
            with self.subTest(strategy):
                valid = "WHERE _dlt_valid_to IS NULL" if strategy == "scd2" else ""
                table = strategy.replace("-", "_")
                self.assertEqual(self.rows(f"SELECT id, v FROM {table} {valid} ORDER BY ALL"), rows)
