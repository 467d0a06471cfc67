"""What a connector says: the records of `wit/connector.wit` as dataclasses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

ErrorKind = Literal[
    "config", "auth", "permission", "rate-limited", "transient", "schema", "limit", "upstream", "internal"
]
"""Whose move it is: that of the configuration, of the credentials, of the API, or of the connector."""


@dataclass(eq=False)
class SpileError(Exception):
    """A failure, or a warning. Its text says what happened, where, and what to do; it holds no secret."""

    kind: ErrorKind = "internal"
    message: str = ""
    """What happened: a lower-case fragment."""
    resource: str | None = None
    """The resource that was being read."""
    pointer: str | None = None
    """JSON pointer into the configuration."""
    advice: str | None = None
    """What to do about it."""
    status: int | None = None
    """HTTP status of the last response."""
    url: str | None = None
    """URL of the request."""
    attempts: int | None = None
    """How many times the request was sent."""
    retry_after: int | None = None
    """Milliseconds that the API asked to wait."""
    errors: tuple["SpileError", ...] = ()
    """Of a configuration: each of its defects."""

    def __str__(self) -> str:
        facts = {
            "resource": self.resource,
            "place": self.pointer,
            "url": self.url,
            "status": self.status,
            "attempts": self.attempts,
            "retry after": None if self.retry_after is None else f"{self.retry_after / 1000:g} s",
            "advice": self.advice,
        }
        lines = [f"{self.kind}: {self.message}"]
        lines += [f"  {name}: {fact}" for name, fact in facts.items() if fact not in (None, "")]
        if len(self.errors) > 1:
            lines += [f"- {error}".replace("\n", "\n  ") for error in self.errors]
        return "\n".join(lines)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    data_type: str
    """The name of a case of the WIT's `data-type`, such as `bigint` or `local-timestamp`."""
    nullable: bool
    precision: int | None = None
    """Digits of a decimal."""
    scale: int | None = None
    """Digits of a decimal behind the point."""


@dataclass(frozen=True)
class TableRows:
    """The rows of one table in a batch."""

    table: str
    resource: str
    """The resource that the rows belong to."""
    parent: str | None
    """The table that these rows are children of."""
    rows: int
    """How many rows."""
    ndjson: str
    """The rows: one JSON object a line, without the columns that are null."""
    roots: list[int]
    """For each row of a child table the place, from 0, of the root row that it stems from among those of this batch."""
    new_columns: list[Column]
    """Columns that the table did not have before."""
    widened_columns: list[Column]
    """Columns whose type is a wider one from these rows on."""

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows, with the types that JSON has."""
        # Not `splitlines`: it also splits at characters that may stand in a JSON text.
        return map(json.loads, self.ndjson.removesuffix("\n").split("\n") if self.rows else [])


@dataclass(frozen=True)
class Change:
    """What became of values of one column that did not simply go into it, or of rows of one table."""

    resource: str
    table: str
    column: str | None
    """Absent where all of a table's rows are meant."""
    kind: Literal["coerced", "variant", "discarded-value", "discarded-row"]
    count: int
    """How many in this batch."""
    sample: str
    """JSON text: the first of them."""


@dataclass(frozen=True)
class ResourceCounts:
    """What a resource has cost and given since the reader was opened."""

    resource: str
    requests: int
    retries: int
    pages: int
    rows: int
    """Rows of the root table."""
    filtered: int
    """Records dropped by a filter."""


@dataclass(frozen=True)
class Summary:
    """The end of a run."""

    state: str
    """JSON text: the state for the next run."""
    counts: list[ResourceCounts]
    """Counts of the whole run."""
    warnings: list[SpileError]
    """What looks wrong though nothing failed."""


@dataclass(frozen=True)
class Batch:
    """Rows, and where to go on after them."""

    tables: list[TableRows]
    """All rows that stem from one record are in the same batch."""
    state: str
    """JSON text: covers exactly the rows so far. A reader that is opened with it goes on with the next row."""
    schema: str | None
    """JSON text: the schema so far, where this batch changed it."""
    changes: list[Change]
    """Values that did not simply go into their columns."""
    counts: list[ResourceCounts]
    """Counts so far."""
    summary: Summary | None = None
    """The end of the run: the last batch has it, and no rows."""


@dataclass(frozen=True)
class ResourceDescription:
    """One resource of a source."""

    name: str
    table: str
    """Its root table."""
    parent: str | None
    """The resource whose records its requests depend on."""
    primary_key: list[str]
    write_disposition: Literal["append", "replace"] | dict[str, Any]
    """`append`, `replace`, or `{"merge": {...}}` with the fields of the WIT's `merge`."""
    method: str
    """The HTTP method; empty where it makes no request."""
    url: str
    """The URL of its first request."""
    selected: bool
    """Whether its rows are delivered."""
    unbound: list[str]
    """Path variables that nothing binds yet."""
    cursor: str | None
    """JSONPath to the cursor, by which a run reads only what is new."""


@dataclass(frozen=True)
class Slot:
    """A named secret, and the only origins that it may be sent to."""

    name: str
    origins: list[str]


@dataclass(frozen=True)
class Description:
    """What a configuration asks for."""

    resources: list[ResourceDescription]
    origins: list[str]
    """Every origin (`scheme://host:port`) that it can reach."""
    slots: list[Slot]
    """The secrets that it names and that were not given."""
    warnings: list[SpileError]
    """Things that work but are better said otherwise."""
