"""Keystone itself, as a process: `.keystone/bin/python program.py DIRECTORY PORT`, where migrator is not installed.

Makes its database and keys in the directory, and the administrator "admin" with the password "admin password"; serves.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# The cache is this process's own, and forgets what changes: without it each token costs half a second of a processor.
CONFIGURATION = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.db
[token]
provider = fernet
allow_expired_window = 0
[fernet_tokens]
key_repository = {directory}/keys
[fernet_receipts]
key_repository = {directory}/keys
[credential]
key_repository = {directory}/keys
[cache]
enabled = true
backend = oslo_cache.dict
[identity]
password_hash_rounds = 4
"""


def write(directory: Path) -> Path:
    from cryptography.fernet import Fernet

    (directory / "keys").mkdir(mode=0o700)
    for name in ("0", "1"):
        (directory / "keys" / name).write_bytes(Fernet.generate_key())
    path = directory / "keystone.conf"
    path.write_text(CONFIGURATION.format(directory=directory))
    return path


def fill(configuration: Path, port: int) -> None:
    """In a process of its own: Keystone loads its parts once a process, for this or to serve."""
    import keystone.conf
    from keystone.cmd.bootstrap import Bootstrapper
    from keystone.common import sql
    from keystone.common.sql import upgrades

    keystone.conf.configure()
    sql.initialize()
    keystone.conf.CONF(args=[], project="keystone", default_config_files=[str(configuration)])
    upgrades.offline_sync_database_to_version()
    first = Bootstrapper()
    names = dict.fromkeys(("admin_username", "project_name", "admin_role_name"), "admin")
    more = {"admin_password": "admin password", "service_name": "keystone", "region_id": "RegionOne"}
    for name, value in {**names, **more, "public_url": f"http://127.0.0.1:{port}/v3"}.items():
        setattr(first, name, value)
    first.bootstrap()


def one_at_a_time(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Keystone reads before it writes in one transaction, and SQLite refuses the second of two that do so at once."""
    turn = threading.Lock()

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with turn:
            return application(environ, start_response)

    return serve


def main(directory: Path, port: int) -> None:
    from keystone.server import wsgi
    from werkzeug.serving import run_simple

    configuration = write(directory)
    child = os.fork()
    if child == 0:
        fill(configuration, port)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("the database could not be filled")
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(configuration)
    run_simple("127.0.0.1", port, one_at_a_time(wsgi.initialize_public_application()), threaded=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    del sys.argv[1:]  # Keystone reads them, too
    main(Path(given[0]), int(given[1]))
