"""tempest.conf: what the cloud has, and what it does not offer."""

import configparser
from pathlib import Path

from tests.tempest.cloud import Cloud


def write(path: Path, cloud: Cloud) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict({**_access(cloud, path.parent), **_compute(cloud), **_services(cloud)})
    with path.open("w") as file:
        parser.write(file)


def _access(cloud: Cloud, directory: Path) -> dict[str, dict[str, object]]:
    return {
        "DEFAULT": {"log_file": directory / "tempest.log"},
        "oslo_concurrency": {"lock_path": directory / "locks"},
        "auth": {
            "use_dynamic_credentials": True,
            "tempest_roles": "member",
            "admin_username": "admin",
            "admin_password": "admin password",
            "admin_project_name": "admin",
            "admin_domain_name": "Default",
        },
        "identity": {
            "uri_v3": cloud.keystone_url,
            "auth_version": "v3",
            "region": "RegionOne",
            "v3_endpoint_type": "public",
        },
        "enforce_scope": {"nova": True},
    }


def _compute(cloud: Cloud) -> dict[str, dict[str, object]]:
    image, other_image = cloud.image_ids
    flavor, other_flavor = cloud.flavor_ids
    return {
        "compute": {
            "image_ref": image,
            "image_ref_alt": other_image,
            "flavor_ref": flavor,
            "flavor_ref_alt": other_flavor,
            "min_compute_nodes": len(cloud.hosts),
            "max_microversion": "latest",
            "build_interval": 1,
            "build_timeout": 120,
        },
        "compute-feature-enabled": {
            "resize": True,
            "scheduler_enabled_filters": "all",
            "nova_policy_roles": "admin,manager,member,reader",
            "hostname_fqdn_sanitization": True,
            "block_migration_for_live_migration": True,
            "rescue": False,
            "shelve": False,
            "snapshot": False,
            "interface_attach": False,
            "metadata_service": False,
            "enable_instance_password": False,
        },
        "validation": {"run_validation": False},
    }


def _services(cloud: Cloud) -> dict[str, dict[str, object]]:
    missing: dict[str, object] = dict.fromkeys(("neutron", "cinder", "swift", "horizon"), False)
    return {
        "service_available": {"nova": True, "glance": True, **missing},
        "image": {"http_image": cloud.keystone_url},
    }
