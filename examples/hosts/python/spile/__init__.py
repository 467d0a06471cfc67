"""Spile in Python: reads a REST API, described by a configuration, into rows.

>>> import spile
>>> connector = spile.Connector("spile.wasm")
>>> for table, row in connector.rows(config, secrets={"api_key": "..."}):
...     print(table, row)

`Connector` has it all. What goes wrong is a `SpileError`. `spile.arrow`, which needs `pyarrow`, makes Arrow tables of
batches.
"""

from .connector import Connector, Options
from .records import (
    Batch,
    Change,
    Column,
    Description,
    ErrorKind,
    ResourceCounts,
    ResourceDescription,
    Slot,
    SpileError,
    Summary,
    TableRows,
)

__all__ = [
    "Batch",
    "Change",
    "Column",
    "Connector",
    "Description",
    "ErrorKind",
    "Options",
    "ResourceCounts",
    "ResourceDescription",
    "Slot",
    "SpileError",
    "Summary",
    "TableRows",
]
