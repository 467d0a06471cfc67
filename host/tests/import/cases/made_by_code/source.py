import json
from dlt.sources.rest_api import rest_api_source

with open("config.json") as file:
    source = rest_api_source(json.load(file))
