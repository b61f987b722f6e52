"""The lab that a benchmark measures on: two real hosts, gone again when it is over."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from migrator.lab import Lab
from tests.lab.cluster import Cluster


@contextlib.contextmanager
def bench_cluster() -> Iterator[Cluster]:
    """A server, and an agent on each of the two."""
    with tempfile.TemporaryDirectory() as top:
        lab = Lab("bench", hosts=2, state_dir=Path(top) / "lab")
        lab.down()
        lab.up()
        cluster = Cluster(lab, Path(top))
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.down()
            lab.down()
