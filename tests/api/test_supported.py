"""What is asked is done, or refused by name: every row of the table over HTTP, at boot and at resize."""

from typing import Any

import pytest
from sqlalchemy import func, select

from migrator import supported
from migrator.api.v2_1.servers.hints import FIELDS
from migrator.db.tables import operations
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import IMAGE

Rows = tuple[supported.Honoured, ...]
NOT_HONOURED = "nothing-of-this-name"
SCOPES = (*supported.REFUSED_EXTRA_SPECS, supported.UNSCOPED)


def cases(rows: Rows, scopes: tuple[supported.Refused, ...]) -> list[tuple[str, str, bool]]:
    """(name, value, whether it is honoured): every value of every row (a pool's name where any will do), a wrong one,
    and a name of every scope."""
    known = [(row.name, value, True) for row in rows for value in row.values or ("local",)]
    wrong = [(row.name, NOT_HONOURED, False) for row in rows if row.values is not None]
    return [*known, *wrong, *((f"{scope.name}{NOT_HONOURED}", "1", False) for scope in scopes)]


def boot(api: Api, flavor: str = "1", image: str = IMAGE, beside: Any = None) -> Any:
    server = {"name": "cap", "flavorRef": flavor, "imageRef": image, "networks": "none"}
    return api("POST", "/servers", body={"server": server, **(beside or {})})


def begun(api: Api) -> int:
    with api.db.read() as connection:
        return int(connection.execute(select(func.count()).select_from(operations)).scalar_one())


def refused(answer: Any, *message: str) -> bool:
    return (
        answer.status == 400 and list(answer.json) == ["badRequest"] and all(word in answer.message for word in message)
    )


@pytest.mark.parametrize("field", FIELDS)
def test_every_other_scheduler_hint_is_refused_by_name(api: Api, field: str) -> None:
    for hint in ("query", "build_near_host_ip", "different_cell", "reservation", "anything"):
        answer = boot(api, beside={field: {hint: seed.IMAGE}})
        assert refused(answer, f"hint '{hint}'", "supported hints: group, same_host, different_host"), hint
    assert begun(api) == 0
    assert boot(api, beside={field: {}}).status == 202, "no hint asks for nothing"


def test_every_extra_spec_is_honoured_or_refused_by_name_at_boot_and_at_resize(api: Api) -> None:
    for number, (name, value, honoured) in enumerate(cases(supported.EXTRA_SPECS, SCOPES)):
        key, uuid, before = f"f{number}", seed.instance(api.db, f"cap{number}"), begun(api)
        seed.flavor(api.db, flavorid=key, name=key, disk_gb=2, extra_specs={name: value})
        answers = boot(api, key), api("POST", f"/servers/{uuid}/action", body={"resize": {"flavorRef": key}})
        for answer in answers:
            if honoured:
                assert answer.status == 202, (name, value, answer.json)
            else:
                assert refused(answer, f"extra spec {name!r}", "supported: "), (name, value, answer.json)
        assert begun(api) == before + 2 * honoured


def test_every_image_property_is_honoured_or_refused_by_name_at_boot(api: Api) -> None:
    for number, (name, value, honoured) in enumerate(cases(supported.IMAGE_PROPERTIES, supported.REFUSED_PROPERTIES)):
        image, before = f"00000000-0000-4000-8000-{number:012}", begun(api)
        value = IMAGE if name in ("kernel_id", "ramdisk_id") else value
        seed.image(api.db, image, properties={name: value})
        answer = boot(api, image=image)
        if honoured:
            assert answer.status == 202, (name, value, answer.json)
        else:
            assert refused(answer, f"image property {name!r}", "supported: "), (name, value, answer.json)
        assert begun(api) == before + honoured


def test_a_flavor_with_swap_is_refused_by_name_at_boot_and_at_resize(api: Api) -> None:
    seed.flavor(api.db, flavorid="swap", name="m1.swap", disk_gb=2, swap_mb=64)
    uuid = seed.instance(api.db, "a")
    assert refused(boot(api, "swap"), "swap 64", "supported: 0")
    assert refused(api("POST", f"/servers/{uuid}/action", body={"resize": {"flavorRef": "swap"}}), "swap 64")
    assert begun(api) == 0


def test_a_misspelt_name_is_refused_over_http(api: Api) -> None:
    uuid, image = seed.instance(api.db, "cap"), "00000000-0000-4000-8000-000000000000"
    seed.flavor(api.db, flavorid="spelt", name="m1.spelt", disk_gb=2, extra_specs={"migrator:stroage": "shared"})
    seed.image(api.db, image, properties={"root_device_name": "/dev/sda"})
    resize = {"resize": {"flavorRef": "spelt"}}
    for answer in (boot(api, "spelt"), api("POST", f"/servers/{uuid}/action", body=resize)):
        assert refused(answer, "'migrator:stroage'", "migrator:storage, migrator:ephemeral_storage")
    assert refused(boot(api, image=image), "'root_device_name' is '/dev/sda'", "/dev/vda")
    assert begun(api) == 0


def test_labels_go_on(api: Api) -> None:
    seed.flavor(api.db, flavorid="labelled", name="m1.labelled", extra_specs={"a:b": "1", "site:Rack": "old"})
    image = "00000000-0000-4000-8000-000000000000"
    labels = {"owner_specified.openstack.md5": "", "owner_id": "p", "Note": "x", "hardware": "old", "a b": "c"}
    seed.image(api.db, image, properties=labels)
    assert boot(api, "labelled", image).status == 202
