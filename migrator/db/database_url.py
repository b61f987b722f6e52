"""The setting ``database``: which databases there are, and how one is named in a log or on a terminal.

Owns the forms of its URL. Never opens a database, and never shows a password.
"""

import os.path
import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from migrator.errors import SettingInvalid

_SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql"
_POSTGRESQL_FORMS = (f"{_POSTGRESQL}://", f"{_POSTGRESQL}+psycopg://")
_SCHEME = re.compile(r"[a-z][a-z0-9+]*")
_EXPECTED = "expected sqlite:////PATH or postgresql://USER@HOST/NAME"


def parse(setting: str) -> URL:
    """Raises SettingInvalid, which stops the start."""
    if setting.startswith(_SQLITE):
        return _sqlite(setting, setting.removeprefix(_SQLITE))
    scheme, there, _ = setting.partition("://")
    if setting.startswith(_POSTGRESQL_FORMS):
        return _postgresql(setting, f"{scheme}://...")
    if there and _SCHEME.fullmatch(scheme):  # what follows may have a password anywhere
        raise _invalid(f" = {scheme}://...", "migrator keeps nothing there")
    raise _invalid("", "it names no kind of database")


def without_password(url: URL) -> str:
    """Which database it is, without password and parameters."""
    if url.drivername == "sqlite":
        return f"{_SQLITE}{url.database}"
    return url.set(drivername=_POSTGRESQL, query={}).render_as_string(hide_password=True)


def _sqlite(setting: str, path: str) -> URL:
    folder = Path(path).parent
    reasons = (
        (not path, "it names no file"),
        (path.startswith(":memory:"), "a database in memory ends with its process"),
        (path.startswith("file:"), "a path is no URI"),
        ("?" in path, "it takes no parameters"),
        (os.path.isdir(path), f"{path} is a folder"),
    )
    for wrong, reason in reasons:
        if wrong:
            raise _invalid(f" = {setting}", reason)
    if not os.path.isdir(folder):  # unlike Path's, it raises nothing for a name that is too long
        advice = f"make it, for the server's user alone: install -d -m 700 {folder}"
        raise SettingInvalid(f"database = {setting}: there is no folder {folder}", advice=advice)
    return URL.create("sqlite", database=path)


def _postgresql(setting: str, scheme: str) -> URL:
    """What libpq finds wrong with a value, such as a name that no server has, it says when it connects."""
    import psycopg  # with libpq, which a server on SQLite does without
    from psycopg.conninfo import make_conninfo

    try:
        url = make_url(setting).set(drivername="postgresql+psycopg")
        _, parameters = url.get_dialect()().create_connect_args(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise _invalid(f" = {scheme}", "it cannot be read as a URL") from None
    try:
        make_conninfo(**parameters)
    except psycopg.Error as error:
        raise _invalid(f" = {without_password(url)}", str(error).strip()) from None
    return url


def _invalid(value: str, reason: str) -> SettingInvalid:
    return SettingInvalid(f"database{value}: {reason}; {_EXPECTED}")
