"""Which names a host may have: Nova's pattern, and no more characters than its column holds. Pure."""

import re

from migrator.errors import BadRequest

MAX_LENGTH = 255
_ALLOWED = re.compile(r"[a-zA-Z0-9._-]+")
_SHOWN = 64  # characters of a wrong name in the message


def check(name: str) -> None:
    """Raises BadRequest for a name that Nova's clients could not send back."""
    if len(name) <= MAX_LENGTH and _ALLOWED.fullmatch(name):
        return
    raise BadRequest(
        f"Host name {name[:_SHOWN]!a} ({len(name)} characters) is not one.",
        advice=f"a host's name has 1 to {MAX_LENGTH} letters (a-z, A-Z), digits, dots, hyphens and underscores",
    )
