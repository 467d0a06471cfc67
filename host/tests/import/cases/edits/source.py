from dlt.sources.rest_api import rest_api_source

resources = ["a"]
config = {"client": {"base_url": "https://api.example.com"}, "resources": resources}
resources.append({"name": "b"})
config["resources"].extend(["c"])
config["resources"] += ["d"]
config["client"]["headers"] = {"x": "1"}
config["client"].update({"paginator": "single_page"})
config |= {"resource_defaults": {"primary_key": "id"}}

path = "/one"
if DEBUG:
    path = "/two"
    config["client"]["base_url"] = "http://127.0.0.1"
else:
    mode = "x"
for name in ["e", "f"]:
    resources.append(name)
resources.append({"name": "g", "endpoint": {"path": path, "params": {"mode": mode, "name": name}}})
resources.sort()
del config["resource_defaults"]["primary_key"]

with open("x") as file:
    resources.append({"name": "h", "endpoint": {"params": {"text": file}}})
try:
    resources.append("i")
except ValueError:
    resources = []
finally:
    source = rest_api_source(config)
