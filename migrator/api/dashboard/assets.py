"""The dashboard's files, as browsers are given them: each by an address that has the hash of all of them in it.

Owns what a browser may do with the page: nothing but this server's own scripts and styles, and requests to this server
(``POLICY``). No file has anything of a cloud in it, so each is open to every caller; what the page shows, it asks for
with the caller's credential.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.responses import Response

from migrator.api import discovery
from migrator.api.routing import Answer, ApiRequest, Given

_FOLDER = Path(__file__).parent / "static"
_TYPES: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE = "index.html"
_LATER = "/vendor/uplot.js"  # fetched when there is something to draw
_PLACE, _PRELOADED = "@PLACE@", "<!-- @PRELOADED@ -->"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_SAFE = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FOREVER = "public, max-age=31536000, immutable"  # another version has another address


@dataclass(frozen=True, slots=True)
class Asset:
    """``packed``: the same, by gzip."""

    path: str
    kind: str
    content: bytes
    packed: bytes

    async def serve(self, request: ApiRequest) -> Given:
        """A file of the dashboard, which browsers keep."""
        return _response(request, self, _FOREVER)


async def front_page(request: ApiRequest) -> Given:
    """Browsers, which ask for text/html, are given the dashboard; every other client the versions of the API."""
    if "text/html" in request.http.headers.get("accept", "").lower():
        return _response(request, page(), "no-cache")
    told = discovery.every_version(request)
    return Answer(told.status, told.body, {**told.headers, "Vary": "Accept"})


@cache
def files() -> tuple[Asset, ...]:
    """All but the page itself, which names them."""
    found = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in sorted(_FOLDER.rglob("*.*"))}
    served = {name: content for name, content in found.items() if Path(name).suffix in _TYPES}
    whole = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in served.values())).hexdigest()
    return tuple(
        Asset(f"/dashboard/{whole[:16]}/{name}", _TYPES[Path(name).suffix], content, _packed(content))
        for name, content in served.items()
    )


@cache
def page() -> Asset:
    text = (_FOLDER / _PAGE).read_text()
    scripts = [asset.path for asset in files() if asset.path.endswith(".js") and not asset.path.endswith(_LATER)]
    preloaded = "\n".join(f'  <link rel="modulepreload" href="{path}">' for path in scripts)
    place = "/".join(files()[0].path.split("/")[:3])
    content = text.replace(_PRELOADED, preloaded.strip()).replace(_PLACE, place).encode()
    return Asset("/", "text/html; charset=utf-8", content, _packed(content))


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _response(request: ApiRequest, asset: Asset, keep: str) -> Response:
    headers = {
        **_SAFE,
        "Cache-Control": keep,
        "Vary": "Accept-Encoding" if asset.path != "/" else "Accept, Accept-Encoding",
    }
    if "gzip" in request.http.headers.get("accept-encoding", "").lower():
        return Response(asset.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.kind)
    return Response(asset.content, headers=headers, media_type=asset.kind)
