"""Reads a REST source once with dlt: the task, an object in JSON, is the one argument.

{"source": ..., "folder": ..., "dataset": ..., "destination": "duckdb:PATH" or a URI of PostgreSQL, "is_tuned": ...}
"""

import json
import os
import sys

task = json.loads(sys.argv[1])

# Before dlt is imported, which reads them. What dlt tells its makers over the network is not a part of the work.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
# dlt wants one; the server does not ask for it.
os.environ["DESTINATION__POSTGRES__CREDENTIALS__PASSWORD"] = "none"
if task["is_tuned"]:
    os.environ.update({
        # Processes for the step that takes longest. Each takes whole files, so what is extracted must be in several.
        "NORMALIZE__WORKERS": str(os.cpu_count()),
        "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "25000",
        # Rows that are written at once, which are the row groups of the files.
        "SOURCES__DATA_WRITER__BUFFER_MAX_ITEMS": "25000",
        "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "25000",
        # Threads that ask for pages, as many as Spile has in flight where windows are compared.
        "EXTRACT__WORKERS": "16",
        "EXTRACT__MAX_PARALLEL_ITEMS": "64",
        # Files that are read back from the same disk.
        "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    })

import dlt  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402

kind, _, rest = task["destination"].partition(":")
destination = dlt.destinations.duckdb(rest) if kind == "duckdb" else dlt.destinations.postgres(task["destination"])
settings = {}
if task["is_tuned"]:
    for resource in task["source"]["resources"]:
        resource["parallelized"] = True
    # Instead of INSERT statements; into PostgreSQL by ADBC, which is COPY in binary form.
    settings["loader_file_format"] = "parquet"
pipeline = dlt.pipeline(
    "bench",
    pipelines_dir=os.path.join(task["folder"], "pipelines"),
    destination=destination,
    dataset_name=task["dataset"],
)
pipeline.run(rest_api_source(task["source"], name="records"), **settings)
