"""A host that falls silent in its turn takes no run's end away, and the next run finishes what it began."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from etcd_steward.locking import FILE
from tests.e2e.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
# Far more than any limit on silence, and nothing beside for ever.
BOUND_S = 900


def cut_cable(host: Host) -> Callable[[], None]:
    host.disconnect()
    return host.connect


def freeze(host: Host) -> Callable[[], None]:
    host.pause()
    return host.unpause


def cut_power(host: Host) -> Callable[[], None]:
    # Before its power, so that nobody closes its sockets.
    host.disconnect()
    host.kill()

    def back() -> None:
        host.start()
        host.connect()

    return back


def in_a_turn(site: Site) -> tuple[subprocess.Popen[str], Host]:
    """Start a change of all members, and return as the first turn begins, with its host."""
    site.etcd("-y").succeeded()
    wanted = site.settings.get("etcd_config", {}).get("heartbeat-interval", 100) + 5
    site.settings["etcd_config"] = {"heartbeat-interval": wanted}
    process = site.start("-y", "deploys/etcd.py")
    assert process.stderr is not None
    said = next((line for line in process.stderr if "healthy 3 -> 2 while " in line), "")
    assert said, "it ended before the first turn"
    return process, site.lab[said.split()[-2]]


@pytest.mark.parametrize(
    "silence",
    [
        cut_cable,
        pytest.param(freeze, marks=pytest.mark.long),
        pytest.param(cut_power, marks=pytest.mark.long),
    ],
)
def test_a_host_that_falls_silent_in_its_turn_ends_the_run_with_its_name_and_the_next_finishes_it(
    fresh: Callable[..., Site], silence: Callable[[Host], Callable[[], None]]
) -> None:
    site = fresh(FAMILIES, connector="ssh")
    process, lost = in_a_turn(site)
    back = silence(lost)
    try:
        rest = process.communicate(timeout=BOUND_S)[1]
    finally:
        back()
    assert process.returncode not in {0, None}, rest
    assert site.name(lost) in rest
    assert not any(host.exists(FILE) for host in site.hosts if host is not lost), "the lock is given back"
    site.etcd("-y").succeeded()
    assert not any(host.exists(FILE) for host in site.hosts)
    site.etcd("-y").unchanged()


def test_d19_a_host_that_reboots_in_its_own_turn_ends_it_by_name_and_the_next_run_finishes_it(
    fresh: Callable[..., Site],
) -> None:
    site = fresh(FAMILIES, connector="ssh")
    site.etcd("-y").succeeded()
    with Writer(site) as writer:
        process, rebooted = in_a_turn(site)
        rebooted.kill()
        rebooted.start()
        rest = process.communicate(timeout=BOUND_S)[1]
        # A command that the reboot cut is not given twice; a wait that it cut goes on over a new connection.
        assert process.returncode == 0 or site.name(rebooted) in rest
        assert not any(host.exists(FILE) for host in site.hosts if host is not rebooted), (
            "the lock is given back"
        )
        site.etcd("-y").succeeded()
    assert not writer.report.told("etcd.py, a host that reboots in its own turn, and run again").lost
    site.etcd("-y").unchanged()
