from dlt.sources.rest_api import rest_api_resources, rest_api_source

shop = {"client": {"base_url": "https://shop.example.com"}, "resources": ["orders"]}


def blog_source():
    return rest_api_resources({"client": {"base_url": "https://blog.example.com"}, "resources": ["posts"]})


sources = [rest_api_source(shop), rest_api_source({"client": {"base_url": "https://a.example.com"}, "resources": ["a"]}, "third")]
