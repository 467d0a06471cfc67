"""Spile as a resource of dlt: Spile reads the API, dlt loads the records."""

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

import dlt
import spile
from dlt.extract.hints import TResourceHints


@dlt.resource(name="spile")
def spile_resource(
    connector: spile.Connector, config: Mapping[str, Any], **options: Unpack[spile.Options]
) -> Iterator[Any]:
    """The records of a source, for a table for each of its resources, with their keys and write dispositions.

    Spile's state and schema are kept in dlt's state, which is saved with the records: so the next run goes on. States
    are told apart by the name of the resource; give another one by `.with_name(...)` if a pipeline has several sources.
    """
    kept = dlt.current.resource_state()
    description = connector.describe(config, params=options.get("params"), bindings=options.get("bindings"))
    hints = {resource.name: _hints(resource) for resource in description.resources}
    options["state"], options["schema"] = kept.get("state"), kept.get("schema")
    for batch in connector.batches(config, **options):
        for resource, records in _records(batch).items():
            yield dlt.mark.with_hints(records, hints[resource], create_table_variant=True)
        kept["state"], kept["schema"] = batch.state, batch.schema or kept.get("schema")


def _records(batch: spile.Batch) -> dict[str, list[dict[str, Any]]]:
    """The rows of root tables by resource, with the rows of child tables in them as dlt unfolds them again."""
    tables = [(rows, list(rows.dicts())) for rows in batch.tables]
    by_id = {(rows.table, row["_dlt_id"]): row for rows, given in tables for row in given}
    records: dict[str, list[dict[str, Any]]] = {}
    for rows, given in tables:
        for row in given:
            if rows.parent is None:
                records.setdefault(rows.resource, []).append(row)
            else:
                parent = by_id[rows.parent, row["_dlt_parent_id"]]
                parent.setdefault(rows.table.removeprefix(f"{rows.parent}__"), []).append(row)
    return records


def _hints(resource: spile.ResourceDescription) -> TResourceHints:
    """The keys and the write disposition of a resource as dlt takes them."""
    hints: dict[str, Any] = {"table_name": resource.table, "primary_key": resource.primary_key or None}
    if isinstance(resource.write_disposition, str):
        return dlt.mark.make_hints(**hints, write_disposition=resource.write_disposition)
    merge = resource.write_disposition["merge"]
    columns: dict[str, Any] = {}
    if merge["hard_delete"]:
        columns[merge["hard_delete"]] = {"hard_delete": True}
    match merge["duplicates"]:
        case {"keep-smallest": column}:
            columns[column] = {"dedup_sort": "asc"}
        case {"keep-largest": column}:
            columns[column] = {"dedup_sort": "desc"}
    disposition: Any = {"disposition": "merge", "strategy": merge["strategy"]}
    match merge["strategy"]:
        case {"delete-insert": merge_key}:
            disposition["strategy"], hints["merge_key"] = "delete-insert", merge_key or None
        case {"scd2": of_versions}:
            disposition["strategy"], hints["merge_key"] = "scd2", of_versions["merge_key"] or None
            disposition["validity_column_names"] = [of_versions["valid_from"], of_versions["valid_to"]]
    return dlt.mark.make_hints(**hints, write_disposition=disposition, columns=columns)
