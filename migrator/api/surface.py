"""The surfaces of the server's API: for whom an answer is made decides the form of its errors. Pure."""

from enum import StrEnum


class Surface(StrEnum):
    COMPUTE = "compute"
    IMAGES = "images"
    NATIVE = "native"
    AGENT = "agent"
    DISCOVERY = "discovery"


_PREFIXES = {
    "/agent": Surface.AGENT,
    "/v1": Surface.NATIVE,
    "/v2.1": Surface.COMPUTE,
    "/image": Surface.IMAGES,
    "/identity": Surface.DISCOVERY,
    "/volume": Surface.DISCOVERY,
}


def surface_of(path: str) -> Surface | None:
    """Of a path that no route serves; None: it lies outside of all of them."""
    return next((surface for prefix, surface in _PREFIXES.items() if path.startswith(prefix)), None)
