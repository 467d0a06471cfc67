import typing as t

from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import ClientConfig, Endpoint, EndpointResource

HOST, VERSION = "api.example.com", 2
BASE = "https://" + HOST + "/v{}".format(VERSION)
LIMIT = 50 * 2
COMMON = {"primary_key": "id", "write_disposition": "merge"}
PAGES = dict(type="page_number", page_param="page", limit_param="per_page", limit=LIMIT)
COUNTRIES = ["fi", "se"]
MORE = COUNTRIES + ["no"]
PATH = "/v{version}/{{id}}/%s".format(version=VERSION)

users: EndpointResource = {"name": "users", "endpoint": {"path": "/users", "paginator": PAGES | {"base_page": 0}}}
orders = {**users, "name": "orders", "endpoint": Endpoint(path="/users/{}/%s/%d%%".format("all") % ("orders", 7), params={"in": MORE, "first": MORE[0], "last": MORE[-1], "limit": PAGES["limit"]})}
ALL = [users, orders]

source = rest_api_source({
    "client": ClientConfig(base_url=BASE, headers={"User-Agent": "shop " f"v{VERSION} {True}" " x"}),
    "resource_defaults": {**COMMON, "max_table_nesting": -1 * -2},
    "resources": [*ALL, "countries", t.cast(EndpointResource, {"name": "c" "d", "endpoint": PATH % HOST, "selected": not_known or False})],
})
