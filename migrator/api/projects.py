"""``/identity/v3/projects/{id}``: what clients look up before they name a project, where there is no Keystone.

A project is any name here, and its name is its id, so each that may be asked about is found. Stores nothing, and says
nothing of users. With Keystone clients have its address, and are told here that nothing is served.
"""

from migrator.api.routing import Answer, ApiRequest
from migrator.errors import NotFound

_DOMAIN = "default"


def show(request: ApiRequest) -> Answer:
    """Raises NotFound with ``auth_strategy = keystone``."""
    ident = request.params["id"]
    if request.services.settings.auth_strategy == "keystone":
        raise NotFound(f"Could not find project: {ident}. Keystone knows the projects: ask there.")
    project = {
        "id": ident,
        "name": ident,
        "description": "",
        "domain_id": _DOMAIN,
        "parent_id": _DOMAIN,
        "is_domain": False,
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": f"{request.root}/identity/v3/projects/{ident}"},
    }
    return Answer(200, {"project": project})
