import dlt
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig
from .settings import BASE_URL


def lower(record):
    record["name"] = record["name"].lower()
    return record


def headers():
    return {"x": "y"}


config: RESTAPIConfig = {
    "client": {"base_url": BASE_URL, "headers": headers(), "session": requests.Session()},
    "resources": [
        {
            "name": "a",
            "processing_steps": [{"filter": lambda r: r["x"]}, {"map": lower}],
            "columns": {name: {"data_type": "text"} for name in ("a", "b")},
            "endpoint": {
                "path": "/a",
                "params": {"ids": ",".join(["1", "2"]), "flag": 1 < 2, "ok": True, "first": [1, 2][0:1]},
                "response_actions": [
                    {"status_code": 404, "action": "ignore"},
                    {"status_code": 200, "action": [lower, set_encoding]},
                    lower,
                ],
            },
        },
        *[{"name": n} for n in "bc"],
        dlt.resource([1, 2], name="seeds"),
        {"name": "d", **more(), 3.5: "x", None: "y",
         "endpoint": {"path": f"/d/{1 + 1:>4}", "params": {"set": {1, 2}, "bytes": b"x", "big": 123456789012345678901234567890,
                                                           "infinite": 1e999, "await": [x async for x in y]}}},
    ],
}

source = rest_api_source(config)
