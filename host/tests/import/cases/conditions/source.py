import os
import dlt
from dlt.sources.rest_api import rest_api_source


def source(token, api_key: str = None, owner="me", *paths, **options):
    auth = {"type": "bearer", "token": token} if token else None
    return rest_api_source({
        "client": {"base_url": "https://api.example.com", "auth": auth},
        "resources": [
            {"name": "a", "endpoint": {"path": f"/u/{owner}", "auth": {"type": "api_key", "api_key": api_key} if api_key else auth}},
            {"name": "b", "endpoint": {"path": f"/p/{token}", "params": {"debug": "1" if os.environ["DEBUG"] == "1" else "0", "x": "" or "y", "zero": 0 or 1}}},
            {"name": "c", "endpoint": {"path": paths[0], "params": options}},
        ],
    })
