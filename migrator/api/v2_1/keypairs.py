"""/os-keypairs: keys that guests let their users in by. Rows become JSON here; the shapes are Nova's.

A pair is its user's, and seen in one project alone (docs/adr/0035-key-pairs-and-quotas.md). From 2.10 an administrator
names another user of that project by ``user_id``.
"""

from typing import Any

from migrator.api import key_material
from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.timestamps import iso_us
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.common.schemas import NAME, closed
from migrator.db import key_pairs as rows
from migrator.db.key_pairs import Owner
from migrator.db.rows import KeyPairRow
from migrator.scheduler.requests import quota_checks

_TYPES, _OF_USERS, _PAGED, _STRICT, _IMPORT_ONLY = (2, 2), (2, 10), (2, 35), (2, 75), (2, 92)
_LONGEST_KEY = 65_535
_RULE = "os_compute_api:os-keypairs"


def _create(characters: str, required: tuple[str, ...] = ("name",), **more: Schema) -> Schema:
    name = {**NAME, "pattern": f"^(?! )[a-zA-Z0-9{characters}]*(?<! )$"}
    key: Schema = {"type": "string", "maxLength": _LONGEST_KEY}
    return closed({"keypair": closed({"name": name, "public_key": key, **more}, required)}, ("keypair",))


_TYPE: Schema = {"type": "string", "enum": [key_material.SSH, key_material.X509]}
_USER_ID: Schema = {"type": "string", "maxLength": 255}
CREATE: Versioned = (
    ((2, 1), _create("_ -")),
    (_TYPES, _create("_ -", type=_TYPE)),
    (_OF_USERS, _create("_ -", type=_TYPE, user_id=_USER_ID)),
    (_IMPORT_ONLY, _create("@._ -", ("name", "public_key"), type=_TYPE, user_id=_USER_ID)),
)
_USER: Schema = {"user_id": paging.TEXT}
_PAGES: Schema = _USER | {"limit": paging.INTEGER, "marker": paging.TEXT}
QUERY: Versioned = (
    ((2, 1), {"type": "object"}),
    (_OF_USERS, {"type": "object", "properties": _USER}),
    (_PAGED, {"type": "object", "properties": _PAGES}),
    (_STRICT, paging.closed(_PAGES)),
)
ONE_QUERY: Versioned = (*QUERY[:2], (_STRICT, paging.closed(_USER)))


def index(request: ApiRequest) -> Answer:
    owner = _owner(request, "index", _asked_user(request))
    paged = request.version >= _PAGED
    limit = paging.limit(request) if paged else None
    marker = paging.first(request.query, "marker") if paged else None
    with request.services.db.read() as connection:
        found = rows.listed(connection, owner, limit, marker)
    body: dict[str, Any] = {"keypairs": [{"keypair": _brief(request, row)} for row in found]}
    if found and len(found) == limit:
        body["keypairs_links"] = paging.next_link(request, "os-keypairs", found[-1].name)
    return Answer(200, body)


def show(request: ApiRequest) -> Answer:
    owner = _owner(request, "show", _asked_user(request))
    with request.services.db.read() as connection:
        row = rows.get(connection, owner, request.params["name"])
    more = {"id": row.id, "user_id": row.user_id, "created_at": iso_us(row.created_at), "updated_at": None}
    return Answer(200, {"keypair": _brief(request, row) | more | {"deleted": False, "deleted_at": None}})


def create(request: ApiRequest) -> Answer:
    wanted = request.body["keypair"]
    owner = _owner(request, "create", wanted.get("user_id"))
    kind = wanted.get("type", key_material.SSH)
    key = key_material.imported(wanted["public_key"], kind) if "public_key" in wanted else None
    if key is None:
        _check_room(request, owner, wanted["name"])
        key = key_material.generated(kind, owner.user_id)
    values = {"name": wanted["name"], "type": kind, "public_key": key.public_key, "fingerprint": key.fingerprint}
    with request.services.db.write() as connection:
        quota_checks.key_pair(connection, owner, request.services.settings.quotas)
        row = rows.create(connection, owner, values)
    shown = _brief(request, row) | {"user_id": row.user_id}
    if key.private_key is not None:
        shown["private_key"] = key.private_key
    return Answer(200 if request.version < _TYPES else 201, {"keypair": shown})


def delete(request: ApiRequest) -> Answer:
    owner = _owner(request, "delete", _asked_user(request))
    with request.services.db.write() as connection:
        rows.remove(connection, owner, request.params["name"])
    return Answer(202 if request.version < _TYPES else 204)


def _check_room(request: ApiRequest, owner: Owner, name: str) -> None:
    """Before a key is made, which costs much; the transaction that stores it checks again. Raises QuotaExceeded and
    AlreadyExists."""
    with request.services.db.read() as connection:
        quota_checks.room_for_key_pair(connection, owner, request.services.settings.quotas)
        rows.refuse_taken(connection, owner, name)


def _asked_user(request: ApiRequest) -> str | None:
    return paging.first(request.query, "user_id") if request.version >= _OF_USERS else None


def _owner(request: ApiRequest, deed: str, user_id: str | None) -> Owner:
    """Whose pairs are meant. Raises Forbidden for another user's."""
    owner = Owner(request.caller.project_id, user_id or request.caller.user_id)
    request.require(f"{_RULE}:{deed}", owner)
    return owner


def _brief(request: ApiRequest, row: KeyPairRow) -> dict[str, Any]:
    shown = {"name": row.name, "public_key": row.public_key, "fingerprint": row.fingerprint}
    return shown if request.version < _TYPES else shown | {"type": row.type}
