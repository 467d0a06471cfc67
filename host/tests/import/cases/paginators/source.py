import dlt
from dlt.sources.helpers.rest_client.paginators import (
    HeaderCursorPaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    JSONResponsePaginator,
    OffsetPaginator,
    PageNumberPaginator as Pages,
    SinglePagePaginator,
)
from dlt.sources.helpers.rest_client import paginators
from dlt.sources.rest_api import rest_api_source

source = rest_api_source({
    "client": {"base_url": "https://api.example.com", "paginator": HeaderLinkPaginator("next")},
    "resources": [
        {"name": "a", "endpoint": {"paginator": Pages(1, 3, "p", "meta.pages", 9, False, has_more_path="more")}},
        {"name": "b", "endpoint": {"paginator": Pages(base_page=1, total_path=None)}},
        {"name": "c", "endpoint": {"paginator": OffsetPaginator(100, 0, "skip", "take", total_path=None)}},
        {"name": "d", "endpoint": {"paginator": JSONLinkPaginator("paging.next")}},
        {"name": "e", "endpoint": {"paginator": JSONResponsePaginator(next_url_path="next")}},
        {"name": "f", "endpoint": {"paginator": JSONResponseCursorPaginator("cursors.after", "after")}},
        {"name": "g", "endpoint": {"paginator": HeaderCursorPaginator(cursor_key="x-next", cursor_param="c")}},
        {"name": "h", "endpoint": {"paginator": SinglePagePaginator()}},
        {"name": "i", "endpoint": {"paginator": paginators.HeaderLinkPaginator()}},
        {"name": "j", "endpoint": {"paginator": "single_page"}},
        {"name": "k", "endpoint": {"paginator": {"type": "page_number", "base_page": 1}}},
        {"name": "l", "endpoint": {"paginator": QueryPaginator("x")}},
        {"name": "m", "endpoint": {"paginator": JSONLinkPaginator("next", 2)}},
    ],
})
