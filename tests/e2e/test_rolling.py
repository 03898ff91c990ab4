"""A change reaches a running cluster one member at a time, and stops where it does harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.watching import started_with
from tests.e2e.writer import Served
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
MODES = {"": (), "--serial": ("--serial",), "--no-wait": ("--no-wait",)}
# An address for documentation (RFC 5737): no host has it, so nothing can be bound to it.
UNBINDABLE = {"listen-metrics-urls": "https://203.0.113.1:2381"}


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(shared: Callable[..., Site]) -> Iterator[Site]:
    site = shared(FAMILIES, "ssh")
    yield site
    site.settings.pop("etcd_timeout", None)


@pytest.fixture
def heartbeat(site: Site) -> int:
    """Choose a heartbeat that the cluster does not have yet, and give it."""
    wanted = site.settings.get("etcd_config", {}).get("heartbeat-interval", 100) + 5
    site.settings["etcd_config"] = {"heartbeat-interval": wanted}
    return wanted


@pytest.mark.parametrize("mode", MODES)
def test_a_changed_heartbeat_restarts_the_members_one_at_a_time(
    site: Site, heartbeat: int, mode: str
) -> None:
    leader = site.status(site.hosts[0])["leader"]
    led = next(host.name for host in site.hosts if site.status(host)["header"]["member_id"] == leader)
    with Served(site) as served:
        outcome = site.etcd("-y", *MODES[mode]).succeeded()
    served.report.told(" ".join(["etcd.py, another heartbeat", *MODES[mode]]))
    assert sorted(served.restarted) == [host.name for host in site.hosts], "each once"
    for host in site.hosts:
        assert started_with(site, host, "heartbeat-interval") == f"{heartbeat}ms"
    if not mode:  # otherwise pyinfra itself orders the hosts
        assert served.restarted[-1] == led, "the leader comes last"
    assert "voters 3, quorum 2, healthy 3 -> 2 while n1 restarts" in outcome.text
    site.etcd("-y").unchanged()


def test_nothing_is_touched_while_another_host_is_down(site: Site, heartbeat: int) -> None:
    *others, lost = site.hosts
    lost.kill()
    try:
        before = {host.name: site.footprint(host) for host in others}, [site.pid(host) for host in others]
        outcome = site.etcd("-y", "-vv")
        outcome.refused(f"{lost.name}: found no answer", "bring this host back first")
        assert outcome.commands == {host.name: 1 for host in others}, "one probe each, and nothing else"
        after = {host.name: site.footprint(host) for host in others}, [site.pid(host) for host in others]
        assert after == before
    finally:
        lost.start()
    site.etcd("-y").succeeded()
    assert {started_with(site, host, "heartbeat-interval") for host in site.hosts} == {f"{heartbeat}ms"}


def test_a_stopped_member_takes_its_turn_first(site: Site, heartbeat: int) -> None:
    stopped = site.hosts[1]
    stopped.run("systemctl", "stop", "etcd")
    with Served(site) as served:
        site.etcd("-y").succeeded()
    assert sorted(served.restarted) == [host.name for host in site.hosts if host is not stopped]
    back = next(span.end for span in served.away if span.name == stopped.name)
    assert all(span.begin > back for span in served.away if span.name != stopped.name)
    assert started_with(site, stopped, "heartbeat-interval") == f"{heartbeat}ms"


@pytest.mark.parametrize(
    "mode", ["", *(pytest.param(mode, marks=pytest.mark.long) for mode in MODES if mode)]
)
def test_a_broken_value_stops_after_the_first_member_and_the_corrected_run_mends_it(
    site: Site, mode: str
) -> None:
    good = dict(site.settings.get("etcd_config", {}))
    before = {host.name: site.footprint(host) for host in site.hosts}
    processes = site.processes()
    site.settings |= {"etcd_config": good | UNBINDABLE, "etcd_timeout": 8}
    with Served(site) as served:
        outcome = site.etcd("-y", *MODES[mode]).failed(
            "not healthy after 8 s",
            "wanted it healthy",
            "no other member was touched",
            "cannot assign requested address",
        )
    names = {span.name for span in served.away}
    assert len(names) == 1, served.away
    (broken,) = names
    assert f"left untouched, because {site.name(site.lab[broken])} failed" in outcome.text
    untouched = [host for host in site.hosts if host.name != broken]
    for again in (False, True):
        if again and mode:  # the broken member must come first, and there pyinfra chooses
            site.etcd("-y", mode).refused(f"{mode} while {site.name(site.lab[broken])} is down")
        elif again:  # the same mistake once more costs nobody else either
            site.etcd("-y").failed("not healthy after 8 s")
        now = site.processes()
        assert {host.name: now[host.name] == processes[host.name] for host in site.hosts} == {
            host.name: host.name != broken for host in site.hosts
        }
        assert [site.footprint(host) for host in untouched] == [before[host.name] for host in untouched]
        site.put(untouched[0], "written", f"while {broken} is down")
    site.settings |= {"etcd_config": good}
    site.settings.pop("etcd_timeout")
    with Served(site) as served:
        site.etcd("-y").succeeded()
    assert {span.name for span in served.away} == {broken}
    assert served.restarted == []
    assert site.get(site.lab[broken], "written") == f"while {broken} is down"
    site.etcd("-y").unchanged()
