"""The URLs at which Nova passes on what other services have, below 2.36, and which this server has itself.

Rows of the table in ``api/urls.py``. What Nova passes on and is not here stands in ``api/refused_proxies.py``.
"""

from migrator.api.routing import CALLER, Route
from migrator.api.v2_1 import images, networks

# fmt: off
PROXIED = (
    Route("GET", "/images", images.index, CALLER, "List images", until=images.UNTIL, query=images.QUERY),
    Route("GET", "/images/detail", images.detail, CALLER, "List images with details", until=images.UNTIL,
          query=images.QUERY),
    Route("GET", "/images/{image_id}", images.show, CALLER, "Show an image", until=images.UNTIL),
    Route("GET", "/images/{image_id}/metadata", images.list_metadata, CALLER, "List an image's properties",
          until=images.METADATA_UNTIL),
    Route("GET", "/images/{image_id}/metadata/{key}", images.show_meta, CALLER, "Show an image's property",
          until=images.METADATA_UNTIL),
    Route("GET", "/os-networks", networks.index, CALLER, "List networks", until=(2, 35)),
    Route("GET", "/os-networks/{id}", networks.show, CALLER, "Show a network", until=(2, 35)),
)
# fmt: on
