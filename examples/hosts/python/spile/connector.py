"""Runs the component in Wasmtime."""

import json
import logging
import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from wasmtime import Config, Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker, Record, Variant

from .records import (
    Batch,
    Change,
    Column,
    Description,
    ResourceCounts,
    ResourceDescription,
    Slot,
    SpileError,
    Summary,
    TableRows,
)
from .secret import fill_in, hide

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

    from .arrow import Columns

_INTERFACE = "spile:connector/source@0.1.0"
_log = logging.getLogger("spile")


class Options(TypedDict, total=False):
    """How to read. All are optional."""

    secrets: Mapping[str, str]
    """Values of the secrets that the configuration names as `{"secret": NAME}`."""
    params: Mapping[str, Any]
    """Values for path variables."""
    bindings: Mapping[str, str]
    """Which field of a parent fills a path variable, such as `{"app_id": "applications.id"}`."""
    resources: Sequence[str]
    """Resources to deliver; all that the configuration selects where it is empty."""
    state: str | None
    """The state of a batch of an earlier run, to go on after it."""
    schema: str | None
    """The last schema that earlier runs gave."""
    window: int
    """How many requests may be in flight at once, 1 to 64."""
    max_rows: int
    """The most root rows of a batch."""
    max_bytes: int
    """About the most bytes of a batch; one record may have more."""
    load_id: str | None
    """Names this run in the column `_dlt_load_id`; the seconds since 1970 where it is absent."""
    since: str | None
    """Begin here, whatever the state says: a date, a date-time or a number, as the cursor is."""
    until: str | None
    """End here: records from there on are left out."""
    full_refresh: bool
    """Forget the cursors of the resources that are read."""


class Connector:
    """The component, compiled. One is enough for a process and its threads: each reader has an instance of its own."""

    def __init__(self, path: str | os.PathLike[str] = "spile.wasm") -> None:
        """Compiles the component. Wasmtime keeps the code in its cache, so this takes its time only once."""
        self._engine = Engine(_with_cache())
        self._component = Component.from_file(self._engine, path)
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        self._linker.add_wasi_http()

    def spec(self) -> str:
        """JSON text: the JSON Schema (2020-12) of the configuration."""
        with closing(_Instance(self)) as instance:
            return str(instance.call("spec"))

    def describe(
        self,
        config: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        bindings: Mapping[str, str] | None = None,
    ) -> Description:
        """What a configuration asks for. Makes no request, and needs no secret: those without a value are the `slots`.

        Raises one `SpileError` that tells every defect of the configuration; its `errors` has them one by one.
        """
        secrets = secrets or {}
        source = _source(fill_in(config, secrets, leave_others=True), params, bindings)
        with closing(_Instance(self)) as instance:
            answer = instance.call("describe", source)
        if isinstance(answer, list):
            errors = tuple(_error(error, secrets) for error in answer)
            if len(errors) == 1:
                raise replace(errors[0], errors=errors)
            raise SpileError("config", f"the configuration has {len(errors)} defects", errors=errors)
        return Description(
            resources=[
                ResourceDescription(**resource | {"url": hide(resource["url"], secrets)})
                for resource in answer["resources"]
            ],
            origins=answer["origins"],
            slots=[Slot(**slot) for slot in answer["slots"]],
            warnings=[_error(warning, secrets) for warning in answer["warnings"]],
        )

    def check(
        self,
        config: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        bindings: Mapping[str, str] | None = None,
    ) -> None:
        """Makes one cheap request, as the first resource's first page. Raises a `SpileError` if that fails."""
        secrets = secrets or {}
        source = _source(fill_in(config, secrets), params, bindings)
        with closing(_Instance(self)) as instance:
            error = instance.call("check", source)
        if error is not None:
            raise _error(error, secrets)

    def batches(
        self,
        config: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        bindings: Mapping[str, str] | None = None,
        resources: Sequence[str] = (),
        state: str | None = None,
        schema: str | None = None,
        window: int = 8,
        max_rows: int = 1000,
        max_bytes: int = 1 << 20,
        load_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
        full_refresh: bool = False,
    ) -> Generator[Batch, None, None]:
        """Reads a source, a batch at a time. `Options` tells what each option is.

        The last batch has no rows: its `summary` is set, and its `state` is the one for the next run. Where the API
        asks to wait, this sleeps, and tells the logger `spile`. The reader is freed when the generator is closed, which
        Python does by itself where nothing holds it any more. Raises a `SpileError`; the state of the batch before goes
        on after its rows.
        """
        secrets = secrets or {}
        request = _record(
            source=_source(fill_in(config, secrets), params, bindings),
            resources=list(resources),
            state=state,
            schema=schema,
            encoding="ndjson",
            window=window,
            load_id=load_id or str(time.time()),
            extent=_record(since=since, until=until, full_refresh=full_refresh),
        )
        with closing(_Instance(self)) as instance:
            reader = instance.call("[static]reader.open", request)
            if isinstance(reader, dict):
                raise _error(reader, secrets)
            while True:
                match instance.call("[method]reader.next", reader, max_rows, max_bytes):
                    case {"batch": batch}:
                        yield _batch(batch)
                    case {"wait": wait}:
                        seconds = max(0.0, wait["until"] / 1000 - time.time())
                        _log.info("%s waits for %.1f s: %s", wait["resource"], seconds, hide(wait["reason"], secrets))
                        time.sleep(seconds)
                    case {"done": done}:
                        yield _last_batch(done, secrets)
                        return
                    case error:
                        raise _error(error, secrets)

    def rows(
        self, config: Mapping[str, Any], **options: Unpack[Options]
    ) -> Generator[tuple[str, dict[str, Any]], None, None]:
        """Reads a source, a row at a time: the table, and the row with the types that JSON has. Nulls are left out.

        A later run cannot go on after a row; take `batches` for that.
        """
        for batch in self.batches(config, **options):
            for rows in batch.tables:
                for row in rows.dicts():
                    yield rows.table, row

    def tables(
        self, config: Mapping[str, Any], *, columns: "Columns | None" = None, **options: Unpack[Options]
    ) -> Generator[tuple[str, "pyarrow.Table"], None, None]:
        """Reads a source as pairs of a table's name and an Arrow table with the rows that a batch has of it.

        Needs `pyarrow`. With the `schema` of an earlier run it needs the `columns` of that run too.
        """
        from .arrow import Columns

        columns = Columns() if columns is None else columns
        for batch in self.batches(config, **options):
            for rows in batch.tables:
                yield rows.table, columns.arrow(rows)


class _Instance:
    """An instance of the component, with all that it holds: its memory, its readers, its connections."""

    def __init__(self, connector: Connector) -> None:
        self._component = connector._component
        self._store = Store(connector._engine)
        self._store.set_wasi(WasiConfig())
        self._store.set_wasi_http()
        self._instance = connector._linker.instantiate(self._store, self._component)

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls a function of the interface. Other threads of Python run meanwhile."""
        interface = self._component.get_export_index(_INTERFACE)
        index = self._component.get_export_index(name, interface)
        function = index and self._instance.get_func(self._store, index)
        if not function:
            raise SpileError("internal", f"the component has no function `{name}` in `{_INTERFACE}`")
        try:
            return _plain(function(self._store, *arguments))
        except WasmtimeError as trap:
            raise SpileError("internal", f"the component stopped: {trap}") from None

    def close(self) -> None:
        """Frees all that it holds, also requests that are in flight."""
        self._store.close()


def _with_cache() -> Config:
    config = Config()
    try:
        config.cache = True
    except WasmtimeError:
        # There is no folder for it, so the component is compiled each time.
        pass
    return config


def _record(**fields: Any) -> Record:
    """A record as Wasmtime takes it: an object with the names of the WIT, which have dashes."""
    record = Record()
    for name, value in fields.items():
        setattr(record, name.replace("_", "-"), value)
    return record


def _plain(value: Any) -> Any:
    """What Wasmtime gives, in plain types.

    A record is a dict with underscores in its names; a variant is its tag, or `{tag: payload}`. Where the payloads of a
    variant have different types in Python, Wasmtime leaves out the tag: so of `result<reader, error>` there is the
    reader, or the record of the error.
    """
    match value:
        case Record():
            return {name.replace("-", "_"): _plain(field) for name, field in vars(value).items()}
        case Variant(tag, None):
            return tag
        case Variant(tag, payload):
            return {tag: _plain(payload)}
        case list():
            return [_plain(item) for item in value]
    return value


def _source(config: Any, params: Mapping[str, Any] | None, bindings: Mapping[str, str] | None) -> Record:
    return _record(config=json.dumps(config), params=json.dumps(params or {}), bindings=json.dumps(bindings or {}))


def _batch(batch: dict[str, Any]) -> Batch:
    return Batch(
        tables=[_table_rows(**rows) for rows in batch["tables"]],
        state=batch["state"],
        schema=batch["schema"],
        changes=[Change(**change) for change in batch["changes"]],
        counts=[ResourceCounts(**counts) for counts in batch["counts"]],
    )


def _last_batch(done: dict[str, Any], secrets: Mapping[str, str]) -> Batch:
    counts = [ResourceCounts(**counts) for counts in done["counts"]]
    warnings = [_error(warning, secrets) for warning in done["warnings"]]
    summary = Summary(done["state"], counts, warnings)
    return Batch(tables=[], state=done["state"], schema=None, changes=[], counts=counts, summary=summary)


def _table_rows(
    *, payload: str, new_columns: list[dict[str, Any]], widened_columns: list[dict[str, Any]], **others: Any
) -> TableRows:
    return TableRows(
        ndjson=payload,
        new_columns=[_column(**column) for column in new_columns],
        widened_columns=[_column(**column) for column in widened_columns],
        **others,
    )


def _column(*, name: str, data_type: str | dict[str, tuple[int, int]], nullable: bool) -> Column:
    match data_type:
        case {"decimal": (precision, scale)}:
            return Column(name, "decimal", nullable, precision, scale)
    return Column(name, str(data_type), nullable)


def _error(error: dict[str, Any], secrets: Mapping[str, str]) -> SpileError:
    return SpileError(**error | {name: hide(error[name], secrets) for name in ("message", "advice", "url")})
