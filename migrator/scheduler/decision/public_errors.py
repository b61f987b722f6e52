"""What users read of an operation's error: a sentence for each of its codes, which names no host. Pure.

Owns these sentences. What the error itself says (hosts, their room, zones and aggregates, other instances) is for
operators: in a fault's details, in the timeline and in ``/v1``.
"""

from collections.abc import Mapping
from typing import Any

NO_VALID_HOST = "No valid host was found. There are not enough hosts available."  # Nova's sentence
UNKNOWN = "The operation failed. An operator can see why."
_SENTENCES: Mapping[str, str] = {
    "no_valid_host": NO_VALID_HOST,
    "check_failed": "A check of the instance, or of a host, failed. An operator can see why.",
    "cancelled": "The operation was cancelled on request.",
    "reverted": "The operation was reverted on request.",
    "completion_timeout": "The live migration was not completed in time.",
    "progress_timeout": "The live migration made no progress for too long.",
    "transfer_failed": "The live migration's transfer failed. An operator can see why.",
    "guest_stopped": "The guest stopped during the operation.",
    "host_down": "A host that the operation needs is down.",
    "host_fenced": "A host that the operation needs is lost.",
    "source_is_back": "The instance's host is back in service, and keeps it.",
    "image_unavailable": "The image's data could not be fetched, or is not what its checksum says.",
    "storage_error": "A disk of the instance could not be made, read or removed. An operator can see why.",
}
_OF_A_PLACEMENT = "No valid host was found."  # how that error begins


def public_error(error: Mapping[str, Any]) -> str:
    """``error``: an operation's ({code, message, ...}); one of any other code, an agent's too, is not repeated."""
    return _SENTENCES.get(str(error.get("code")), UNKNOWN)


def fault_of(error: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance in the state ERROR keeps of its operation's error."""
    return {"code": 500, "message": public_error(error), "details": error["message"]}


def fault_parts(fault: Mapping[str, Any]) -> tuple[str, str]:
    """(the sentence for users, all of it). A fault of an earlier release has all of it in its message."""
    message, details = str(fault.get("message", "")), fault.get("details")
    if details:
        return message, str(details)
    return NO_VALID_HOST if message.startswith(_OF_A_PLACEMENT) else UNKNOWN, message
