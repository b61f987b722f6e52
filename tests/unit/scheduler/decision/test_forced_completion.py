"""A transfer that is forced to its end: what becomes of the guest that is stopped for it."""

import libvirt
import pytest

from migrator.compute.libvirt.bindings import jobs


class Domain:
    """libvirt's, as far as its CPUs go: ``job`` is whether a transfer of it is under way when it is stopped."""

    def __init__(self, *, job: bool) -> None:
        self._job = job
        self.calls: list[str] = []
        self._state = [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]

    def suspend(self) -> None:
        self.calls.append("suspend")
        reason = libvirt.VIR_DOMAIN_PAUSED_MIGRATION if self._job else libvirt.VIR_DOMAIN_PAUSED_USER
        self._state = [libvirt.VIR_DOMAIN_PAUSED, reason]

    def resume(self) -> None:
        self.calls.append("resume")

    def state(self) -> list[int]:
        return self._state

    def migrateStartPostCopy(self) -> None:  # noqa: N802
        self.calls.append("post-copy")


@pytest.mark.parametrize(
    ("job", "post_copy", "calls"),
    [
        (True, False, ["suspend"]),
        (False, False, ["suspend", "resume"]),
        (True, True, ["post-copy"]),
    ],
)
def test_a_guest_that_was_stopped_when_its_transfer_had_just_ended_runs_on(
    job: bool, post_copy: bool, calls: list[str]
) -> None:
    domain = Domain(job=job)
    jobs.complete(domain, post_copy=post_copy)
    assert domain.calls == calls
