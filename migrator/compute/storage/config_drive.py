"""The config drive: a small read-only disk from which a guest learns who it is.

Owns its format: ISO 9660 (with Joliet and Rock Ridge names), label ``config-2``, holding the files below ``openstack``
that cloud-init reads. Never decides when one is made.
"""

import base64
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from migrator.compute.storage import guest_metadata
from migrator.protocol import InstanceSpec

LABEL = "config-2"
ROOT = "openstack"
# cloud-init reads the newest that it knows: each has the same files.
VERSIONS = ("2015-10-15", "2018-08-27", "latest")


def make(path: Path, spec: InstanceSpec, admin_pass: str | None) -> None:
    """Write the config drive of ``spec`` to ``path``, readable by its owner only. Raises OSError."""
    import pycdlib  # 3 MiB that an agent can do without until then

    path.touch(mode=0o600)
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        _add_directory(iso, f"/{ROOT}")
        for version in VERSIONS:
            parent = f"/{ROOT}/{version}"
            _add_directory(iso, parent)
            for name, content in files(spec, admin_pass).items():
                file = f"{parent}/{name}"
                iso.add_fp(BytesIO(content), len(content), file, rr_name=name, joliet_path=file)
        iso.write(str(path))
    finally:
        iso.close()


def _add_directory(iso: "pycdlib.PyCdlib", path: str) -> None:  # type: ignore[name-defined]  # noqa: F821 - see above
    iso.add_directory(path, rr_name=path.rpartition("/")[2], joliet_path=path)


def files(spec: InstanceSpec, admin_pass: str | None) -> Mapping[str, bytes]:
    """Name -> content, of each version's directory."""
    found = {
        "meta_data.json": _json(guest_metadata.meta_data(spec, admin_pass)),
        "network_data.json": _json(guest_metadata.network_data(spec)),
        "vendor_data.json": _json({}),
        "vendor_data2.json": _json({}),
    }
    return found if spec.user_data is None else found | {"user_data": base64.b64decode(spec.user_data)}


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode()
