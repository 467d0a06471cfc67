import os

import dlt
from dlt.sources.rest_api import rest_api_source

ORG = dlt.config["org"]
STAGE = os.environ.get("STAGE", "prod")

source = rest_api_source({
    "client": {"base_url": os.getenv("SHOP_URL", "https://api.example.com") + "/v1"},
    "resources": [
        {"name": "repos", "endpoint": {"path": f"/orgs/{ORG}/repos", "params": {"stage": STAGE, "region": dlt.config["shop.region"]}}},
        {"name": "teams", "endpoint": f"/orgs/{ORG}/teams/{{team_id}}"},
        {"name": "users", "endpoint": {"path": "/users", "headers": {"X-Org": ORG, "X-Two": "a" + ORG}}},
        {"name": "limited", "endpoint": {"paginator": {"type": "page_number", "limit": dlt.config["page_size"]}}},
        {"name": dlt.config["table"], "endpoint": "/t"},
        {"name": "windows", "endpoint": {"params": {"since": "{incremental.start_value}", "ids": [ORG, "x"]}}},
    ],
})
