"""An AI platform's API: applications and all that belongs to them."""

import dlt
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

RETRIES = {"retry_on_status_codes": [429], "max_retries": 3, "backoff_factor": 2}

config: RESTAPIConfig = {
    "client": {
        "base_url": "https://api.example.com",
        "auth": {
            "type": "bearer",
            "token": dlt.secrets["api_key"],
        },
    },
    "resource_defaults": {
        "primary_key": "id",
        "write_disposition": "merge",
    },
    "resources": [
        {
            "name": "applications",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps",
                "data_selector": "apps",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 20,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "datasets",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/datasets",
                "data_selector": "datasets",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 100,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "models",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/models",
                "data_selector": "models",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 100,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "model_versions",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/models/{model_id}/versions",
                "data_selector": "model_versions",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 100,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "workflows",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/workflows",
                "data_selector": "workflows",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 100,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "app_inputs",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/inputs",
                "data_selector": "inputs",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 20,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "app_inputs_jobs",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/inputs/jobs/add",
                "data_selector": "inputs_add_jobs",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 20,
                },
                "error_handler": RETRIES,
            },
        },
        {
            "name": "app_concepts",
            "endpoint": {
                "path": "/v2/users/{user_id}/apps/{app_id}/concepts",
                "data_selector": "concepts",
                "paginator": {
                    "type": "page_number",
                    "page_param": "page",
                    "limit_param": "per_page",
                    "limit": 20,
                },
                "error_handler": RETRIES,
            },
        },
    ],
}

if __name__ == "__main__":
    pipeline = dlt.pipeline(pipeline_name="ai_platform", destination="duckdb", dataset_name="ai_platform")
    print(pipeline.run(rest_api_source(config, name="ai_platform")))
