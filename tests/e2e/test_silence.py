"""A host that loses its cable in its turn ends no run's end, and the next run finishes what it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etcd_steward.locking import FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
# Far more than any limit on silence, and nothing beside for ever.
BOUND_S = 900


def test_a_cable_that_is_cut_in_a_turn_ends_the_run_with_the_hosts_name_and_the_next_finishes_it(
    fresh: Callable[..., Site],
) -> None:
    site = fresh(FAMILIES, connector="ssh")
    site.etcd("-y").succeeded()
    wanted = site.settings.get("etcd_config", {}).get("heartbeat-interval", 100) + 5
    site.settings["etcd_config"] = {"heartbeat-interval": wanted}
    process = site.start("-y", "deploys/etcd.py")
    assert process.stderr is not None
    said = next((line for line in process.stderr if "healthy 3 -> 2 while " in line), "")
    assert said, "it ended before the first turn"
    cut = site.lab[said.split()[-2]]
    cut.disconnect()
    try:
        rest = process.communicate(timeout=BOUND_S)[1]
    finally:
        cut.connect()
    assert process.returncode not in {0, None}, rest
    assert site.name(cut) in rest
    assert not any(host.exists(FILE) for host in site.hosts if host is not cut), "the lock is given back"
    site.etcd("-y").succeeded()
    assert not any(host.exists(FILE) for host in site.hosts)
    site.etcd("-y").unchanged()
