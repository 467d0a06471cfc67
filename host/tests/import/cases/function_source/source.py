from typing import Any, Optional

import dlt
from dlt.common.pendulum import pendulum
from dlt.sources.rest_api import RESTAPIConfig, check_connection, rest_api_resources, rest_api_source


@dlt.source(name="github")
def github_source(access_token: Optional[str] = dlt.secrets.value, owner: str = "dlt-hub", *, since=None, state=dlt.config.value) -> Any:
    repository = f"{owner}/dlt"
    config: RESTAPIConfig = {
        "client": {
            "base_url": f"https://api.github.com/repos/{repository}/",
            # the token is optional for public repositories
            "auth": (
                {
                    "type": "bearer",
                    "token": access_token,
                }
                if access_token
                else None
            ),
        },
        "resource_defaults": {
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": {"params": {"per_page": 100}},
        },
        "resources": [
            "contributors",
            {
                "name": "issues",
                "endpoint": {
                    "path": "issues",
                    "params": {
                        "sort": "updated",
                        "state": state,
                        "since": since,
                        "until": pendulum.today().subtract(days=30).to_iso8601_string(),
                    },
                    "incremental": {
                        "cursor_path": "updated_at",
                        "initial_value": "2024-01-25T11:21:28Z",
                        "convert": lambda value: value[:10],
                    },
                },
            },
            {
                "name": "issue_comments",
                "endpoint": {"path": "issues/{resources.issues.number}/comments"},
                "include_from_parent": ["id"],
            },
        ],
    }

    yield from rest_api_resources(config)


def load_github() -> None:
    pipeline = dlt.pipeline(pipeline_name="rest_api_github", destination="duckdb", dataset_name="rest_api_data")
    print(pipeline.run(github_source()))
