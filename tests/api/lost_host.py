"""A host that is lost, or might be: one of its instances is on storage that another host shares, one on its own."""

from typing import Any

from sqlalchemy import update

from migrator.db.tables import hosts
from tests.api import seed
from tests.api.harness import Web


def third_host(web: Web, **more: Any) -> None:
    """compute3, with "kept" on storage that compute1 shares, and "local" on its own."""
    seed.host(web.db, "compute3", **more)
    seed.pools(web.db, "compute1", local="id-1", shared="both")
    seed.pools(web.db, "compute2", local="id-2")
    seed.pools(web.db, "compute3", local="id-3", shared="both")
    with web.db.write() as connection:  # its last proof was written just before it was last heard
        proofs = {"shared": {"token": "compute3/1", "at": more.get("last_seen", 4_000_000_000.0)}}
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(proofs=proofs))
    seed.image(web.db, seed.IMAGE)
    for name, pool in (("kept", "shared"), ("local", "local")):
        placed(web, name, pool)


def placed(web: Web, name: str, pool: str, host: str = "compute3", **more: Any) -> str:
    """An instance on the host with its disk in the pool."""
    uuid = seed.new_uuid()
    disk = {"target": "vda", "pool": pool, "size_gb": 1, "image_id": seed.IMAGE}
    spec = {"uuid": uuid, "name": name, "vcpus": 1, "memory_mb": 64, "disks": [disk]}
    return seed.instance(web.db, name, uuid=uuid, host=host, spec=spec, **more)
