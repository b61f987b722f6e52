"""Text as XML 1.0 can hold it: a name or a command line may end up in a domain's XML, which libvirt then refuses.

Owns which characters are not allowed. The API refuses them by the field's name; an agent leaves them out of what an
older server let through.
"""

import re

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def forbidden(text: str) -> str | None:
    """The first character that XML cannot hold: a control character, half a surrogate pair, U+FFFE or U+FFFF."""
    found = _FORBIDDEN.search(text)
    return found[0] if found else None


def stripped(text: str) -> str:
    return _FORBIDDEN.sub("", text)
