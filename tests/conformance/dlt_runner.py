"""Runs REST sources through dlt, one after another: starting dlt takes longer than a run.

Reads tasks as lines of JSON from standard input, {"source": ..., "folder": ...}, loads each into `dlt.duckdb` in its folder,
dataset `data`, and writes {} or {"error": ...} as a line to standard output. Tasks of one folder are runs of one pipeline.
"""

import json
import os
import sys

# Before dlt is imported, which reads them. No retries: what fails here is meant to fail.
os.environ.update({
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__REQUEST_MAX_ATTEMPTS": "1",
    "RUNTIME__REQUEST_BACKOFF_FACTOR": "0",
})

# Standard output belongs to the answers.
answers = sys.stdout
sys.stdout = sys.stderr

import dlt  # noqa: E402
from dlt.sources.helpers.rest_client.auth import OAuthJWTAuth  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402


def with_instances(value):
    """dlt has JWT authentication as a class only, without a `type`."""
    if isinstance(value, list):
        return [with_instances(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "jwt_bearer":
        auth = OAuthJWTAuth(**{key: item for key, item in value.items() if key != "type"})
        # Else dlt looks for it in its configuration. It counts as expired.
        auth.token = "none yet"
        return auth
    return {key: with_instances(item) for key, item in value.items()}


def run(task):
    folder = task["folder"]
    pipeline = dlt.pipeline(
        "conformance",
        pipelines_dir=os.path.join(folder, "pipelines"),
        destination=dlt.destinations.duckdb(os.path.join(folder, "dlt.duckdb")),
        dataset_name="data",
    )
    pipeline.run(rest_api_source(with_instances(task["source"]), name="api"))


for line in sys.stdin:
    answer = {}
    try:
        run(json.loads(line))
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), file=answers, flush=True)
