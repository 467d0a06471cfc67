from dlt.sources.rest_api import rest_api_source

source = rest_api_source(
    {"client": {"base_url": "https://api.example.com"}, "resources": ["posts"]},
    "blog",
    max_table_nesting=2,
    parallelized=True,
    schema=make_schema("blog"),
)
