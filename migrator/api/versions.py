"""Version discovery: what lives at ``/`` and ``/v2.1``. Answered without credentials; links follow the Host header."""

from typing import Any

from migrator.api import microversions

_UPDATED = "2013-07-23T11:33:21Z"  # the date of the Compute API v2.1, as clients know it


def listed(root: str) -> dict[str, Any]:
    return {"versions": [_entry(root)]}


def one(root: str) -> dict[str, Any]:
    entry = _entry(root)
    entry["links"].append({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
    entry["media-types"] = [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]
    return {"version": entry}


def choices(root: str, path: str) -> dict[str, Any]:
    """The 300 answer to a path outside every version."""
    entry = {
        "id": "v2.1",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": f"{root}/v2.1{path}"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}],
    }
    return {"choices": [entry]}


def _entry(root: str) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": microversions.text(microversions.MAXIMUM),
        "min_version": microversions.text(microversions.MINIMUM),
        "updated": _UPDATED,
        "links": [{"rel": "self", "href": f"{root}/v2.1/"}],
    }
