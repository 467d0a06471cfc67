import os
from os import environ, getenv

import dlt
from dlt import secrets as vault
from dlt.sources.rest_api import rest_api_source

TOKEN = dlt.secrets["sources.shop.token"]

source = rest_api_source({
    "client": {
        "base_url": "https://api.example.com",
        "auth": {"type": "bearer", "token": TOKEN},
        "headers": {"X-Trace": dlt.secrets["trace"], "Authorization": f"Token {TOKEN}"},
    },
    "resources": [
        {"name": "a", "endpoint": {"auth": {"type": "bearer", "token": dlt.secrets.get("a")}}},
        {"name": "b", "endpoint": {"auth": {"type": "bearer", "token": dlt.secrets.get("deep.b", str)}}},
        {"name": "c", "endpoint": {"auth": {"type": "bearer", "token": vault["c-c"]}}},
        {"name": "d", "endpoint": {"auth": {"type": "bearer", "token": environ.get("D_TOKEN")}}},
        {"name": "e", "endpoint": {"auth": {"type": "bearer", "token": getenv("E_TOKEN", "")}}},
        {"name": "f", "endpoint": {"auth": {"type": "bearer", "token": os.getenv("F_TOKEN") or "none"}}},
        {"name": "g", "endpoint": {"params": {"key": f"{TOKEN}"}}},
        {"name": "h", "endpoint": {"auth": {"type": "bearer", "token": dlt.secrets[which()]}}},
    ],
})
