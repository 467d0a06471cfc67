"""Tests of Arrow tables."""

import datetime
import unittest
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

import spile

from .servers import WASM, Api, MockApi

if not find_spec("pyarrow"):
    raise unittest.SkipTest("pyarrow is not installed: pip install -r requirements-arrow.txt")

import pyarrow  # type: ignore[import-untyped]
from spile.arrow import Columns

UTC = datetime.UTC
RECORDS = [
    {
        "id": 2**63 - 1,
        "ratio": 2.0,
        "is_open": True,
        "at": "2025-03-01T10:00:00.123456+02:00",
        "local": "9999-12-31T23:59:59.999999",
        "day": "0001-01-01",
        "clock": "10:00:00.5",
        "price": "12345678901234567890123456.25",
        "whole": 10**37,
        "bytes": "AP/+",
        "document": {"b": [1, {"c": "é"}], "a": None},
        "name": "é\u2028\n\u0000\U0001f600",
    },
    {"id": 1},
]
TYPES = {
    "id": pyarrow.int64(),
    "ratio": pyarrow.float64(),
    "is_open": pyarrow.bool_(),
    "at": pyarrow.timestamp("us", "UTC"),
    "local": pyarrow.timestamp("us"),
    "day": pyarrow.date32(),
    "clock": pyarrow.time64("us"),
    "price": pyarrow.decimal128(28, 2),
    "whole": pyarrow.decimal128(38, 0),
    "bytes": pyarrow.binary(),
    "document": pyarrow.string(),
    "name": pyarrow.string(),
}
VALUES = {
    "id": 2**63 - 1,
    "ratio": 2.0,
    "is_open": True,
    "at": datetime.datetime(2025, 3, 1, 8, 0, 0, 123456, UTC),
    "local": datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
    "day": datetime.date(1, 1, 1),
    "clock": datetime.time(10, 0, 0, 500000),
    "price": Decimal("12345678901234567890123456.25"),
    "whole": Decimal(10**37),
    "bytes": b"\x00\xff\xfe",
    "document": '{"b":[1,{"c":"é"}],"a":null}',
    "name": "é\u2028\n\u0000\U0001f600",
}
RESOURCE: dict[str, Any] = {
    "name": "things",
    "max_table_nesting": 0,
    "primary_key": "id",
    "columns": {
        "local": {"data_type": "timestamp", "timezone": False},
        "day": {"data_type": "date"},
        "clock": {"data_type": "time"},
        "price": {"data_type": "decimal", "precision": 28, "scale": 2},
        "bytes": {"data_type": "binary"},
        "document": {"data_type": "json"},
    },
    "endpoint": {"path": "things"},
}


class Arrow(unittest.TestCase):
    connector: spile.Connector

    @classmethod
    def setUpClass(cls) -> None:
        cls.connector = spile.Connector(WASM)

    def test_types_and_values(self) -> None:
        with Api({"/things": lambda _: RECORDS}) as api:
            [(name, table)] = self.connector.tables(api.config(RESOURCE))
        self.assertEqual(name, "things")
        self.assertEqual({name: table.schema.field(name).type for name in TYPES}, TYPES)
        self.assertFalse(table.schema.field("_dlt_id").nullable)
        self.assertTrue(table.schema.field("name").nullable)
        first, second = table.select(list(TYPES)).to_pylist()
        self.assertEqual(first, VALUES)
        self.assertEqual(second, {**dict.fromkeys(TYPES), "id": 1})

    def test_columns_stay_where_a_batch_has_no_value(self) -> None:
        with Api({"/things": lambda _: [*RECORDS, {"id": 3, "extra": 1.5}]}) as api:
            tables = [table for _, table in self.connector.tables(api.config(RESOURCE), max_rows=1)]
        self.assertEqual([table.num_rows for table in tables], [1, 1, 1])
        self.assertEqual(tables[0].schema, tables[1].schema)
        self.assertEqual(tables[2].schema.names, [*tables[1].schema.names, "extra"])

    def test_a_column_becomes_wider(self) -> None:
        records = [{"id": 1, "size": 1}, {"id": 2, "size": 1.5}]
        with Api({"/things": lambda _: records}) as api:
            config = api.config({"name": "things", "widen": True, "endpoint": {"path": "things"}})
            first, second = (table for _, table in self.connector.tables(config, max_rows=1))
        self.assertEqual(first.schema.field("size").type, pyarrow.int64())
        self.assertEqual(second.schema.field("size").type, pyarrow.float64())
        self.assertEqual(second["size"].to_pylist(), [1.5])

    def test_a_later_run_knows_the_columns(self) -> None:
        with Api({"/things": lambda _: RECORDS}) as api:
            columns, schema = Columns(), None
            for batch in self.connector.batches(api.config(RESOURCE)):
                for rows in batch.tables:
                    columns.arrow(rows)
                schema = batch.schema or schema
            given: dict[str, Any] = {"schema": schema}
            [(_, table)] = self.connector.tables(api.config(RESOURCE), columns=Columns(columns.to_json()), **given)
            self.assertEqual(table.select(list(TYPES)).to_pylist()[0], VALUES)
            with self.assertRaisesRegex(
                spile.SpileError, "columns of the table `things` are not known: _dlt_id"
            ) as raised:
                list(self.connector.tables(api.config(RESOURCE), **given))
            self.assertEqual(raised.exception.advice, "give the `columns` that were kept with the schema")

    def test_all_rows_of_all_tables(self) -> None:
        with MockApi() as api:
            counts: dict[str, int] = {}
            given: dict[str, Any] = {"secrets": {"api_key": "mock-token"}, "params": {"user_id": "acme"}}
            for name, table in self.connector.tables(api.config(), max_rows=30, **given):
                counts[name] = counts.get(name, 0) + table.num_rows
            self.assertEqual(counts, api.expected())
