"""Databases are compacted and defragmented one at a time, and the alarm NOSPACE is ended; the alarm CORRUPT never is."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import make_site
from tests.e2e.watching import client_context, overlaps, spans
from tests.e2e.writer import Served, post
from tests.targets import hosts as targets
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.steward import Outcome, Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "ubuntu", "centos")
QUOTA = 16 * 2**20
SAFE = {
    "etcd_version": "3.7.3",
    "etcd_force_version": False,
    "etcd_config": {"quota-backend-bytes": QUOTA},
    "etcd_timeout": 60,
}
PATIENT = ("--data=etcd_maintain_quota_fraction=0.9", "--data=etcd_maintain_fragmentation=0.9")
# The rule as low as it goes: whatever is unused is given back.
EAGER = ("--data=etcd_maintain_quota_fraction=0", "--data=etcd_maintain_fragmentation=0.1")


@pytest.fixture(scope="module")
def made(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Give the cluster whose databases the tests of this module fill and empty."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("maintenance")
        site = make_site(stack, FAMILIES, "docker", mirror_url, cache, folder, {"settings": SAFE})
        site.etcd("-y").succeeded()
        yield site


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(made: Site) -> Site:
    targets.SEEN.update(FAMILIES)
    return made


def maintain(site: Site, *flags: str) -> Outcome:
    return site.run("-y", *flags, "deploys/maintain.py")


def fill(site: Site, mebibytes: int) -> str:
    """Write one key again and again, a mebibyte at a time, and return what etcd said last."""
    script = (
        ". /etc/profile.d/etcdctl.sh; head -c 1048576 /dev/zero | tr '\\0' x >/tmp/value; "
        f"for _ in $(seq {mebibytes}); do etcdctl put big </tmp/value 2>&1 | tail -c 200; done"
    )
    return site.hosts[0].run(script).stdout


def sizes(site: Site) -> dict[str, int]:
    return {host.name: site.status(host)["dbSize"] for host in site.hosts}


def alarms(site: Site) -> str:
    return site.etcdctl(site.hosts[0], "alarm", "list")


def alarm(site: Site, action: str, kind: str) -> None:
    """Raise or end an alarm of one member by etcd's own API."""
    host = site.hosts[0]
    question: dict[str, Any] = {
        "action": action,
        "memberID": str(site.status(host)["header"]["member_id"]),
        "alarm": kind,
    }
    status, body = post(host.address, "/v3/maintenance/alarm", question, client_context(site, host))
    assert status == 200, body


def test_members_are_defragmented_one_at_a_time_and_no_write_is_lost(site: Site) -> None:
    assert "exceeded" not in fill(site, 3)
    before = sizes(site)
    # How far a database grows for three values depends on how etcd batches them: 3 to 8 of the 16 MiB.
    maintain(site, *PATIENT).unchanged()
    assert sizes(site) == before, "what is below the thresholds is left alone"
    begin = time.time()
    with Served(site) as served:
        maintain(site, "--data=etcd_compact=true", "--data=etcd_compact_keep=1", *EAGER).succeeded()
    served.report.told("maintain.py, compacting and defragmenting")
    assert served.restarted == []
    told = spans(site, begin, "starting defragment", "finished defragment")
    assert sorted({span.name for span in told}) == sorted(before)
    assert overlaps(told) == []
    after = sizes(site)
    assert all(after[name] < before[name] / 2 for name in before), (before, after)
    assert site.get(site.hosts[1], "big") == "x" * 2**20


@pytest.mark.long
def test_f36_a_full_database_takes_writes_again_without_a_restart(site: Site) -> None:
    processes = site.processes()
    assert "database space exceeded" in fill(site, 24)
    assert "NOSPACE" in alarms(site)
    outcome = maintain(site, "--data=etcd_compact_keep=1").succeeded()
    assert "leadership moved to" in outcome.text
    assert alarms(site) == ""
    assert max(sizes(site).values()) < QUOTA / 2
    assert fill(site, 1) == "OK\n"
    assert site.processes() == processes
    maintain(site).unchanged()
    site.etcd("-y").unchanged()


@pytest.mark.long
def test_the_alarm_corrupt_is_never_ended(site: Site) -> None:
    alarm(site, "ACTIVATE", "CORRUPT")
    alarm(site, "ACTIVATE", "NOSPACE")
    maintain(site, *EAGER).refused("found the alarm CORRUPT", "it is never disarmed here")
    alarm(site, "DEACTIVATE", "CORRUPT")
    alarm(site, "DEACTIVATE", "NOSPACE")
    assert json.loads(site.etcdctl(site.hosts[0], "alarm", "list", "-w", "json")).get("alarms", []) == []


@pytest.mark.long
def test_f36_the_alarm_nospace_stays_while_a_database_is_full_and_a_quota_can_be_raised_under_it(
    site: Site,
) -> None:
    fill(site, 2)
    alarm(site, "ACTIVATE", "NOSPACE")
    tiny = '--data=etcd_config={"quota-backend-bytes": 1048576}'
    maintain(site, tiny).failed("wanted room below its quota; the alarm stays", "lower etcd_compact_keep")
    assert "NOSPACE" in alarms(site)
    # More space is brought to one member after the other, though the alarm makes etcd's own health check fail.
    processes = site.processes()
    raised = f'--data=etcd_config={{"quota-backend-bytes": {2 * QUOTA}}}'
    site.etcd("-y", raised).failed("found the alarm NOSPACE, wanted none; next: run deploys/maintain.py")
    assert all(site.processes()[name] != process for name, process in processes.items())
    maintain(site, raised).succeeded()
    assert alarms(site) == ""
    site.etcd("-y", raised).unchanged()
