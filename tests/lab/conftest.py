"""One lab with server and agents for all tests of a session; every test makes and deletes its own instances."""

import os
from collections.abc import Iterator

import pytest

from migrator.lab import Lab
from migrator.lab.image import KERNEL_ARGS, register_guest
from tests.lab import guests, lives
from tests.lab.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    root = tmp_path_factory.mktemp("cluster")
    lab = Lab(os.environ.get("MIGRATOR_TEST_LAB", "tests"), state_dir=root / "lab", tls=True)
    lab.down()
    lab.up()
    made = Cluster(lab, root)
    try:
        made.up()
        yield made
    finally:
        made.down()
        lab.down()


@pytest.fixture(scope="session")
def filled(cluster: Cluster) -> str:
    """An image whose guests write lasting content to their disks, and read it back each second."""
    return register_guest(cluster.url, kernel_args=f"{KERNEL_ARGS} {guests.GUEST_ARGS}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the guests felt, beside what libvirt counted: of each test that moved one and told it."""
    ended = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for report in ended
        if report.when == "call"
        for name, value in report.user_properties
        if name == lives.PROPERTY
    ]
    if told:
        terminalreporter.section("guests that were moved")
        terminalreporter.line("\n".join(told))
