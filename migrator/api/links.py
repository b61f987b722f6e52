"""The server's root as a client sees it, which every link begins with."""

from starlette.requests import Request

from migrator.api import request_origin
from migrator.api.process.services import Services


def root_of(request: Request, services: Services) -> str:
    """The Host header, or what a proxy in front says."""
    server, *_ = request.scope.get("server") or ("",)
    allowed = services.settings.allowed_hosts
    return request_origin.root(request.scope["headers"], request.url.scheme, server, allowed)
