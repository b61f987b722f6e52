"""How an agent's configuration names its server: checks of the address and of the credential, and no connection."""

import re
from urllib.parse import urlsplit


def checked_url(value: str) -> str:
    """``value``, if it is the address of a server. Raises ValueError."""
    try:
        parts = urlsplit(value)
        whole = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        whole = False
    plain = re.fullmatch("[!-~]*", value) is not None and not re.search("[?#]", value)
    if not (whole and plain and parts.scheme in ("http", "https")):
        raise ValueError("expected http://HOST:PORT or https://HOST:PORT")
    return value


def checked_token(value: str) -> str:
    """``value``, if it can stand in a header. Raises ValueError."""
    if not re.fullmatch("[!-~]*", value):
        raise ValueError("expected the token as it was printed, without a space or the end of a line")
    return value
