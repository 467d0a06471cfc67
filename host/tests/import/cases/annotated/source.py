from dlt.sources import rest_api

unrelated = {"client": 1}
config: "rest_api.RESTAPIConfig" = {
    "client": {"base_url": "https://api.example.com"},
    "resources": [{"name": "posts", "endpoint": "/posts"}],
}
