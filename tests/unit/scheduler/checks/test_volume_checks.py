"""The checks of an instance's volumes before a live migration."""

from dataclasses import replace

import pytest

from migrator.protocol import (
    VolumeProbe,
    VolumeSpec,
)
from migrator.scheduler.checks.filters import failed
from migrator.scheduler.checks.finding import (
    KNOWN_S,
    Status,
)
from tests.unit.scheduler.checks.fitting_hosts import GIB, NEED, SPEC, THERE, finding, there

SOURCE = "nbd://10.0.0.250:10809/data"


VOLUME = VolumeSpec(id="v", target="vdb", source=SOURCE, size_gb=2)


WITH_VOLUME = replace(NEED, instance=SPEC.model_copy(update={"volumes": (VOLUME,)}))


@pytest.mark.parametrize(
    ("sights", "status", "message"),
    [
        ({}, Status.UNKNOWN, f"b looks at {SOURCE} once the instance is there or about to come"),
        ({SOURCE: VolumeProbe(bytes=2 * GIB)}, Status.PASSED, ""),
        ({SOURCE: VolumeProbe(bytes=GIB)}, Status.FAILED, f"{SOURCE} has 1024 MiB, and had 2 GiB"),
        ({SOURCE: VolumeProbe(message="no route", age_s=40)}, Status.UNKNOWN, "42 s ago"),
    ],
)
def test_a_volume_is_what_the_destination_saw_of_it(
    sights: dict[str, VolumeProbe], status: Status, message: str
) -> None:
    found = finding("volumes", there(THERE.model_copy(update={"volumes": sights})), WITH_VOLUME)
    assert found.status is status
    assert found.message.startswith(message)


def test_nothing_is_copied_of_an_instance_that_has_only_volumes_so_block_migration_contradicts() -> None:
    root = SPEC.model_copy(update={"disks": (), "volumes": (VOLUME,), "state_pool": "local"})
    need = replace(NEED, instance=root)
    seen = there(THERE.model_copy(update={"volumes": {SOURCE: VolumeProbe(bytes=2 * GIB)}}))
    for block in (None, False):
        assert failed(seen, replace(need, block=block)) == []
    (only,) = failed(seen, replace(need, block=True))
    assert only[0] == "storage"
    assert only[1].message == f"block migration asked for, but {SOURCE} is shared with a"


def test_what_is_known_of_the_volumes_is_as_old_as_the_oldest_look() -> None:
    second = VOLUME.model_copy(update={"id": "w", "target": "vdc", "source": f"{SOURCE}2"})
    need = replace(NEED, instance=SPEC.model_copy(update={"volumes": (VOLUME, second)}))
    looks = {VOLUME.source: VolumeProbe(bytes=2 * GIB), second.source: VolumeProbe(bytes=2 * GIB, age_s=KNOWN_S)}
    found = finding("volumes", there(THERE.model_copy(update={"volumes": looks})), need)
    assert (found.status, found.age_s) == (Status.UNKNOWN, KNOWN_S + 2)
