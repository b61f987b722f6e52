"""The real clients, which get their tokens and the API's address from Keystone."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import documented
from tests.api.test_api_tls import BINARIES
from tests.api.test_lease_process import Site
from tests.keystone.cloud import MIGRATOR, Keystone


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.http.close()
    made.db.close()


def run(site: Site, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "MIGRATOR_"))}
    message = [str(BINARIES / command[0]), *command[1:]]
    more = {**kept, **environment, "HOME": str(site.directory)}
    return subprocess.run(message, env=more, cwd=site.directory, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def served(site: Site, keystone: Keystone, place: str = "") -> Iterator[Mapping[str, str]]:
    """The server, in the catalog at a URL that ends with ``place``; yields what a reader of the page fills in."""
    service = keystone.post("/services", {"service": {"type": "compute", "name": "migrator"}})["service"]["id"]
    url = f"{site.url}/v2.1{place}"
    endpoint = {"service_id": service, "interface": "public", "url": url, "region_id": "RegionOne"}
    keystone.post("/endpoints", {"endpoint": endpoint})
    listen = site.url.removeprefix("http://")
    settings = {"auth_strategy": "keystone", "keystone_auth_url": keystone.url, "keystone_password": MIGRATOR}
    images = site.directory / "images"
    own = {
        "https://10.0.0.1:8774": site.url,
        "http://controller.example:5000/v3": keystone.url,
        "alice": "the-member",
        "…": "password of the-member",
        "demo": "own",
    }
    (site.directory / "clouds.yaml").write_text(documented.clouds("keystone", own))
    with site.process("server", database=site.db.url, listen=listen, image_dir=images, **settings):
        site.until(site.listening, 60)
        yield own
    keystone.http.delete(f"/services/{service}").raise_for_status()


def test_the_clients_work_with_a_url_of_an_old_catalog(site: Site, keystone: Keystone) -> None:
    with served(site, keystone, "/%(project_id)s") as own:
        for done in (
            run(site, "openstack", "server", "list", "-f", "json", OS_CLOUD="lab"),
            run(site, "openstack", "limits", "show", "--absolute", "-f", "json", OS_CLOUD="lab"),
            run(site, "nova", "list", **documented.variables("keystone", "nova", own)),
        ):
            assert done.returncode == 0, done.stderr


def test_the_clients_work_with_a_password_in_keystone(site: Site, keystone: Keystone) -> None:
    with served(site, keystone) as own:
        member = documented.variables("keystone", "migrator", own)
        for done in (
            run(site, "openstack", "flavor", "list", "-f", "json", OS_CLOUD="lab"),
            run(site, "openstack", "image", "list", "-f", "json", OS_CLOUD="lab"),
            run(site, "migrator", "list", "--json", **member),
        ):
            assert (done.returncode, json.loads(done.stdout or "null")) == (0, []), done.stderr
        limits = run(site, "openstack", "limits", "show", "--absolute", "-f", "json", OS_CLOUD="lab")
        shown = {row["Name"]: row["Value"] for row in json.loads(limits.stdout or "[]")}
        assert (shown.get("instances"), shown.get("instances_used")) == (10, 0), limits.stderr
        quota = run(site, "openstack", "quota", "show", "--compute", "-f", "json", OS_CLOUD="lab")
        assert {"Resource": "instances", "Limit": 10} in json.loads(quota.stdout or "[]"), quota.stderr
        done = run(site, "nova", "list", **documented.variables("keystone", "nova", own))
        assert done.returncode == 0, done.stderr
        refused = run(site, "migrator", "service-list", **member)
        assert "Policy doesn't allow os_compute_api:os-services:list" in refused.stderr
        token = {"OS_AUTH_TYPE": "token", "OS_TOKEN": keystone.token("the-admin", project="own")}
        assert run(site, "migrator", "service-list", MIGRATOR_URL=f"{site.url}/v2.1", **token).returncode == 0
        wrong = run(site, "migrator", "list", **(member | {"OS_PASSWORD": "wrong"}))
        assert (wrong.returncode, "issued no token: it answered 401" in wrong.stderr) == (1, True)
