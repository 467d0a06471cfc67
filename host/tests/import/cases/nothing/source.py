import requests

config = {"base_url": "https://api.example.com"}
print(requests.get(config["base_url"]))
