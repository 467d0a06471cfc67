import dlt.sources.rest_api as api
from dlt.sources.rest_api import rest_api_source as make

settings = {
    "client": {"base_url": "https://api.example.com"},
    "resources": ["posts"],
}

if __name__ == "__main__":
    pipeline.run(make(name="blog", config=settings).with_resources("posts"))
