"""What the body of an action may look like, at which microversion. Data only; the form is ``common/schemas.py``'s."""

from migrator.api.v2_1.common.schemas import BOOLEAN, FALSE, TRUE, V1, Schema, Versioned, closed

HOST: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9-._]*$"}
HOST_OR_NONE: Schema = HOST | {"type": ["string", "null"]}
_BLOCK_AUTO: Schema = {"type": ["boolean", "string"], "enum": [*TRUE, *FALSE, "auto"]}

ANYTHING: Versioned = ((V1, {"type": "object"}),)


def action(name: str, schema: Schema) -> Schema:
    return closed({name: schema}, (name,))


def _live(properties: Schema, required: tuple[str, ...]) -> Schema:
    return action("os-migrateLive", closed(properties, required))


_LIVE_21: Schema = {"host": HOST_OR_NONE, "block_migration": BOOLEAN, "disk_over_commit": BOOLEAN}
_LIVE_225: Schema = {"host": HOST_OR_NONE, "block_migration": _BLOCK_AUTO}

LIVE: Versioned = (
    (V1, _live(_LIVE_21, ("block_migration", "disk_over_commit", "host"))),
    ((2, 25), _live(_LIVE_225, ("block_migration", "host"))),
    ((2, 30), _live(_LIVE_225 | {"force": BOOLEAN}, ("block_migration", "host"))),
    ((2, 68), _live(_LIVE_225, ("block_migration", "host"))),
)

_MIGRATE_256: Schema = {"type": ["object", "null"], "properties": {"host": HOST_OR_NONE}, "additionalProperties": False}
MIGRATE: Versioned = (*ANYTHING, ((2, 56), action("migrate", _MIGRATE_256)))

_FLAVOR_REF: Schema = {"type": ["string", "integer"], "minLength": 1}
_DISK_CONFIG: Schema = {"type": "string", "enum": ["AUTO", "MANUAL"]}
RESIZE: Versioned = (
    (V1, action("resize", closed({"flavorRef": _FLAVOR_REF, "OS-DCF:diskConfig": _DISK_CONFIG}, ("flavorRef",)))),
)

_EVACUATE: Schema = {"host": HOST, "adminPass": {"type": "string"}}
EVACUATE: Versioned = (
    (V1, action("evacuate", closed(_EVACUATE | {"onSharedStorage": BOOLEAN}, ("onSharedStorage",)))),
    ((2, 14), action("evacuate", closed(_EVACUATE))),
    ((2, 29), action("evacuate", closed(_EVACUATE | {"force": BOOLEAN}))),
    ((2, 68), action("evacuate", closed(_EVACUATE))),
)

_REBOOT_TYPE: Schema = {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}
REBOOT: Versioned = ((V1, action("reboot", closed({"type": _REBOOT_TYPE}, ("type",)))),)
_LOCK_273: Schema = {
    "type": ["object", "null"],
    "properties": {"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}},
    "additionalProperties": False,
}
LOCK: Versioned = (*ANYTHING, ((2, 73), action("lock", _LOCK_273)))
FORCE_COMPLETE: Versioned = (((2, 22), action("force_complete", {"type": "null"})),)

_LENGTH: Schema = {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -1}
CONSOLE_OUTPUT: Versioned = ((V1, action("os-getConsoleOutput", closed({"length": _LENGTH}))),)
_STATE: Schema = {"type": "string", "enum": ["active", "error"]}
RESET_STATE: Versioned = ((V1, action("os-resetState", closed({"state": _STATE}, ("state",)))),)
