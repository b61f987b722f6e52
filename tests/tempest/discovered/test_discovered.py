"""Run by tempest's own Python: its tests, which find that no class insists on a network of Neutron's.

Most classes of the Compute API's tests ask for a network of their own, and are skipped where Neutron is missing,
although no test in them looks at it: live migration among them. Their servers go without.
"""

from typing import Any

from tempest.api.compute.base import BaseV2ComputeTest
from tempest.test_discover import test_discover

_skip_checks = BaseV2ComputeTest.skip_checks.__func__


def without_network(cls: Any) -> None:
    cls.create_default_network = False
    _skip_checks(cls)


BaseV2ComputeTest.skip_checks = classmethod(without_network)
load_tests = test_discover.load_tests
