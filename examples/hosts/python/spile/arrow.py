"""Rows as Arrow tables. Needs `pyarrow`."""

import base64
import datetime
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pyarrow.json  # type: ignore[import-untyped]

from .records import Column, SpileError, TableRows


class Columns:
    """The types of all columns so far, by which rows become Arrow tables.

    Batches tell of a column once. So a run that goes on with a schema needs the columns that were known by then: keep
    them with it, as `to_json` gives them.
    """

    def __init__(self, kept: str | None = None) -> None:
        """Begins with what `to_json` gave in an earlier run."""
        tables = json.loads(kept) if kept else {}
        self._tables = {table: [Column(**column) for column in columns] for table, columns in tables.items()}

    def to_json(self) -> str:
        """JSON text: all columns so far."""
        return json.dumps({table: [asdict(column) for column in columns] for table, columns in self._tables.items()})

    def arrow(self, rows: TableRows) -> pyarrow.Table:
        """The rows as an Arrow table with all columns that their table has so far. JSON documents are texts."""
        widened = {column.name: column for column in rows.widened_columns}
        columns = [widened.get(column.name, column) for column in self._tables.get(rows.table, [])] + rows.new_columns
        self._tables[rows.table] = columns
        schema = pyarrow.schema([pyarrow.field(column.name, _type(column), column.nullable) for column in columns])
        if rows.rows == 0:
            return schema.empty_table()
        text = rows.ndjson.encode()
        table = pyarrow.json.read_json(
            io.BytesIO(text),
            # One block, since a row must not be longer than one.
            read_options=pyarrow.json.ReadOptions(block_size=len(text)),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=pyarrow.schema(map(_as_read, schema))),
        )
        if unknown := set(table.column_names).difference(schema.names):
            message = f"the types of columns of the table `{rows.table}` are not known: {', '.join(sorted(unknown))}"
            advice = "give the `columns` that were kept with the schema"
            raise SpileError("config", message, resource=rows.resource, advice=advice)
        return pyarrow.table([_converted(table[field.name], field.type) for field in schema], schema=schema)


def _type(column: Column) -> pyarrow.DataType:
    match column.data_type:
        case "bigint":
            return pyarrow.int64()
        case "double":
            return pyarrow.float64()
        case "boolean":
            return pyarrow.bool_()
        case "timestamp":
            return pyarrow.timestamp("us", "UTC")
        case "local-timestamp":
            return pyarrow.timestamp("us")
        case "date":
            return pyarrow.date32()
        case "time":
            return pyarrow.time64("us")
        case "binary":
            return pyarrow.binary()
        case "decimal":
            return pyarrow.decimal128(column.precision, column.scale)
    return pyarrow.string()


def _as_read(field: pyarrow.Field) -> pyarrow.Field:
    """The type with which a column is read from JSON, where dates, times and bytes are texts."""
    of_texts = (pyarrow.types.is_date, pyarrow.types.is_time, pyarrow.types.is_binary)
    return pyarrow.field(field.name, pyarrow.string() if any(is_it(field.type) for is_it in of_texts) else field.type)


def _converted(values: pyarrow.ChunkedArray, data_type: pyarrow.DataType) -> pyarrow.ChunkedArray:
    if pyarrow.types.is_time(data_type):
        return _each(values, datetime.time.fromisoformat, data_type)
    if pyarrow.types.is_binary(data_type):
        return _each(values, base64.b64decode, data_type)
    return values.cast(data_type)


def _each(
    texts: pyarrow.ChunkedArray, convert: Callable[[str], Any], data_type: pyarrow.DataType
) -> pyarrow.ChunkedArray:
    """What Arrow itself does not convert, one by one."""
    values = [None if text is None else convert(text) for text in texts.to_pylist()]
    return pyarrow.chunked_array([pyarrow.array(values, data_type)])
