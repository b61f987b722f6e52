"""What of an error a user may read: no fault of any status, and no action's details, tells of a host's files, of the
server's or of a domain's XML.

Owns what is left out, in a time that grows with the text alone, for a client may have written it. ``/v1``, the timeline
and the log have all of it.
"""

import re
from typing import Any

_XML = "(XML)"
_PATH = "(path)"
_TAG = re.compile(r"<[A-Za-z?!/]")
_CLOSED = re.compile(r"</[^<>]*>|/>")
# A disk as a guest names it, which clients do, too: no path of a host.
_DEVICE = r"(?!/dev/(?:[hsv]|xv)d[a-z]{1,2}(?![\w/-]|\.\w))"
_QUOTED = re.compile(rf"""(['"])(?:file:)?{_DEVICE}/[^'"]*\1""")
_PLAIN = re.compile(rf"""file:/+[^\s'"<>,;()\[\]]*|(?<![\w/.]){_DEVICE}/[^\s'"<>,;:()\[\]/][^\s'"<>,;:()\[\]]*""")


def public(message: Any) -> str:
    """``message`` without XML and without paths: "unable to open '(path)': Permission denied"."""
    text = _without_xml(str(message))
    return _PLAIN.sub(_PATH, _QUOTED.sub(rf"\1{_PATH}\1", text))


def _without_xml(text: str) -> str:
    """From the first tag to the last closed one; to the end where another is opened after it, for it was cut off."""
    first = _TAG.search(text)
    if first is None:
        return text
    closed = [found.end() for found in _CLOSED.finditer(text, first.start())]
    end = closed[-1] if closed and _TAG.search(text, closed[-1]) is None else len(text)
    return text[: first.start()] + _XML + text[end:]
