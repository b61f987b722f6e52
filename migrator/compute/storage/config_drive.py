"""The config drive: a small CD-ROM from which a guest learns who it is.

Owns its format: ISO 9660 (with Joliet and Rock Ridge names), label ``config-2``, holding
``openstack/latest/meta_data.json``. Never decides when one is made.
"""

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

from migrator.protocol import InstanceSpec

LABEL = "config-2"
META_DATA = "openstack/latest/meta_data.json"


def make(path: Path, spec: InstanceSpec, admin_pass: str | None) -> None:
    """Write the config drive of ``spec`` to ``path``, readable by its owner only. Raises OSError."""
    import pycdlib  # 3 MiB that an agent can do without until then

    content = json.dumps(meta_data(spec, admin_pass), indent=1, sort_keys=True).encode()
    path.touch(mode=0o600)
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        parent = ""
        for name in META_DATA.split("/")[:-1]:
            parent += f"/{name}"
            iso.add_directory(parent, rr_name=name, joliet_path=parent)
        file = f"/{META_DATA}"
        iso.add_fp(BytesIO(content), len(content), file, rr_name=file.rpartition("/")[2], joliet_path=file)
        iso.write(str(path))
    finally:
        iso.close()


def meta_data(spec: InstanceSpec, admin_pass: str | None) -> dict[str, Any]:
    """What the guest is told, under the names that cloud-init knows."""
    known: dict[str, Any] = {
        "uuid": spec.uuid,
        "name": spec.name,
        "hostname": re.sub(r"[^a-z0-9-]+", "-", spec.name.lower()).strip("-") or spec.uuid,
        "meta": spec.metadata,
    }
    return known if admin_pass is None else known | {"admin_pass": admin_pass}
