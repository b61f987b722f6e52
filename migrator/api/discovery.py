"""Documents by which clients find their way: the Compute API's versions, and the least of what they insist on having
beside it (an identity version document, Glance's version list, a volume service without limits). All but limits without
credentials."""

from migrator.api import microversions, versions
from migrator.api.identity.keystone_client import version_3
from migrator.api.identity.strategies import uri_for_clients
from migrator.api.routing import Answer, ApiRequest


def every_version(request: ApiRequest) -> Answer:
    return Answer(200, versions.listed(request.root))


def this_version(request: ApiRequest) -> Answer:
    return Answer(200, versions.describe_version(request.root), microversions.headers_for("2.1"))


def old_version(request: ApiRequest) -> Answer:
    return Answer(200, versions.old(request.root))


def native_version(request: ApiRequest) -> Answer:
    links = [{"rel": "self", "href": f"{request.root}/v1/"}]
    return Answer(200, {"version": {"id": "v1.0", "status": "CURRENT", "links": links}})


def identity(request: ApiRequest) -> Answer:
    """Clients look here before they find that no token is needed, and make no other identity call; with Keystone they
    find that one."""
    settings, here = request.services.settings, f"{request.root}/identity/v3/"
    keystone = settings.auth_strategy == "keystone"
    links = [{"rel": "self", "href": f"{version_3(uri_for_clients(settings))}/" if keystone else here}]
    version = {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z", "links": links}
    return Answer(200, {"version": version})


def image_versions(request: ApiRequest) -> Answer:
    links = [{"rel": "self", "href": f"{request.root}/image/v2/"}]
    return Answer(300, {"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]})


def volume_versions(request: ApiRequest) -> Answer:
    """Where there is no catalog `openstack` takes it that there is a volume service, whatever the settings say."""
    links = [{"rel": "self", "href": f"{request.root}/volume/v3/"}]
    version = {"id": "v3.0", "status": "CURRENT", "version": "3.0", "min_version": "3.0", "links": links}
    return Answer(200, {"versions": [{**version, "updated": "2016-02-08T12:20:21Z", "media-types": []}]})


def volume_limits(_request: ApiRequest) -> Answer:
    """There are none: `openstack limits show` asks here, too, and shows those of ``/v2.1/limits`` alone."""
    return Answer(200, {"limits": {"rate": [], "absolute": {}}})


def health(_request: ApiRequest) -> Answer:
    """Answers while the process does."""
    return Answer(200, {"status": "ok"})
