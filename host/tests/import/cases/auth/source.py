import os

import dlt
from dlt.sources.helpers.rest_client.auth import (
    APIKeyAuth,
    AuthConfigBase,
    BearerTokenAuth,
    HttpBasicAuth,
    OAuth2ClientCredentials,
    OAuthJWTAuth,
)
from dlt.sources.rest_api import rest_api_source


class Signature(AuthConfigBase):
    def __init__(self, key):
        self.key = key


source = rest_api_source({
    "client": {"base_url": "https://api.example.com", "auth": BearerTokenAuth(dlt.secrets["token"])},
    "resources": [
        {"name": "a", "endpoint": {"auth": BearerTokenAuth(token=os.environ["API_TOKEN"])}},
        {"name": "b", "endpoint": {"auth": APIKeyAuth("x-key", dlt.secrets["key"], "query")}},
        {"name": "c", "endpoint": {"auth": APIKeyAuth(name="x-key", api_key=dlt.secrets["key"])}},
        {"name": "d", "endpoint": {"auth": HttpBasicAuth("user", dlt.secrets["password"])}},
        {"name": "e", "endpoint": {"auth": HttpBasicAuth(username=dlt.config["user"], password=dlt.secrets["password"])}},
        {"name": "f", "endpoint": {"auth": OAuth2ClientCredentials(
            access_token_url="https://login.example.com/token",
            client_id=dlt.secrets["oauth.client_id"],
            client_secret=dlt.secrets["oauth.client_secret"],
            access_token_request_data={"scope": "read"},
        )}},
        {"name": "g", "endpoint": {"auth": Signature(dlt.secrets["key"])}},
        {"name": "h", "endpoint": {"auth": {"token": dlt.secrets["token"]}}},
        {"name": "i", "endpoint": {"auth": None}},
        {"name": "j", "endpoint": {"auth": HttpBasicAuth("user", "written out")}},
        {"name": "k", "endpoint": {"auth": OAuthJWTAuth(
            client_id="me",
            private_key=dlt.secrets["private_key"],
            private_key_passphrase=os.environ["PASSPHRASE"],
            auth_endpoint=dlt.secrets["auth_endpoint"],
            scopes=["read", "write"],
            headers={"x-tenant": dlt.secrets["tenant"]},
        )}},
    ],
})
