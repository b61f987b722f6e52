"""Documents by which clients find their way: the Compute API's versions, and the least of what they insist on having
beside it (an identity version document, Glance's version list). All without credentials."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from migrator.api import microversions, versions
from migrator.api.dependencies import Service
from migrator.api.links import root_of
from migrator.api.request_ids import new_request_id, request_id_headers

router = APIRouter(tags=["discovery"])


@router.get("/", name="versions")
def every_version(request: Request, services: Service) -> dict[str, Any]:
    return versions.listed(root_of(request, services))


@router.get("/v2.1", name="version")
@router.get("/v2.1/", name="version_with_slash")
def this_version(request: Request, services: Service) -> JSONResponse:
    headers = microversions.headers_for("2.1") | request_id_headers(new_request_id())
    return JSONResponse(versions.one(root_of(request, services)), headers=headers)


@router.get("/identity")
@router.get("/identity/v3")
@router.get("/identity/v3/")
def identity(request: Request, services: Service) -> dict[str, Any]:
    """Clients look here before they find that no token is needed; no other identity call is ever made."""
    links = [{"rel": "self", "href": f"{root_of(request, services)}/identity/v3/"}]
    return {"version": {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z", "links": links}}


@router.get("/image")
@router.get("/image/")
@router.get("/image/v2")
@router.get("/image/v2/")
@router.get("/image/versions")
def image_versions(request: Request, services: Service) -> JSONResponse:
    links = [{"rel": "self", "href": f"{root_of(request, services)}/image/v2/"}]
    return JSONResponse({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]}, status_code=300)


@router.get("/healthz")
def health() -> dict[str, str]:
    """Answers while the process does."""
    return {"status": "ok"}
