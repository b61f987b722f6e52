"""Version discovery: what lives at ``/`` and ``/v2.1``. Answered without credentials; links follow the Host header."""

from typing import Any

from migrator.api import microversions

_UPDATED = "2013-07-23T11:33:21Z"  # the date of the Compute API v2.1, as clients know it


def listed(root: str) -> dict[str, Any]:
    """The old version stands first, as clients know it from Nova."""
    return {"versions": [_old_entry(root), _entry(root)]}


def old(root: str) -> dict[str, Any]:
    """What lives at ``/v2``: its description, and nothing below it but images."""
    entry = _old_entry(root)
    entry["links"].append({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
    entry["media-types"] = [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2"}]
    return {"version": entry}


def _old_entry(root: str) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2025-07-04T12:00:00Z",
        "links": [{"rel": "self", "href": f"{root}/v2/"}],
    }


def describe_version(root: str) -> dict[str, Any]:
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
