"""Every hop between the releases of today loses no write: whole, cut in the middle and continued, and taken back after a canary."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import make_site
from tests.e2e.writer import Served
from tests.hops import Hop
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.steward import Outcome, Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
MEMBERS = ", ".join(map(title, FAMILIES))
# The writer needs etcd's JSON gateway, which 3.4 switches off where it reads a configuration file.
SETTINGS = {
    "etcd_force_version": False,
    "etcd_config": {"enable-grpc-gateway": True},
    "etcd_timeout": 60,
}
# In this order one cluster goes them all.
CHAIN = (
    ("3.4.23", "3.5.34"),
    ("3.5.34", "3.6.16"),
    ("3.6.16", "3.7.3"),
    ("3.7.3", "3.6.16"),
    ("3.6.16", "3.5.34"),
    ("3.5.34", "3.7.3"),
    ("3.7.3", "3.5.34"),
)
# What members run between two steps. It is made before: a build takes longer than a download may.
BETWEEN = {("3.5.34", "3.7.3"): "3.6.16", ("3.7.3", "3.5.34"): "3.6.16"}
ONE_MINOR = [hop for hop in CHAIN if hop not in BETWEEN]


def named(hop: tuple[str, str]) -> str:
    return " to ".join(hop)


def climbs(hop: tuple[str, str]) -> bool:
    before, after = ([int(part) for part in version.split(".")] for version in hop)
    return before < after


class Climber:
    """One cluster for all hops: made anew, on another release, only where it is not where a hop begins."""

    def __init__(self, make: Callable[[ExitStack, str], Site]) -> None:
        self._make = make
        self._stack = ExitStack()
        self._site: Site | None = None

    def before(self, hop: tuple[str, str]) -> Site:
        """Give a healthy cluster on the release where a hop begins."""
        targets.SEEN.update(FAMILIES)
        mirror.prepare(*(BETWEEN[hop],) if hop in BETWEEN else ())
        version = hop[0]
        if self._site is None or set(running(self._site)) != {version}:
            self.close()
            self._site = self._make(self._stack, version)
        return self._site

    def close(self) -> None:
        self._stack.close()
        self._site = None


@pytest.fixture(scope="module")
def climber(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Climber]:
    def make(stack: ExitStack, version: str) -> Site:
        folder: Path = tmp_path_factory.mktemp("hops")
        settings = {**SETTINGS, "etcd_version": version}
        site = make_site(stack, FAMILIES, "docker", mirror_url, cache, folder, {"settings": settings})
        if version in mirror.DEBIAN:
            mirror.glibc_shim(site.hosts[0])
        site.etcd("-y").succeeded()
        return site

    climber = Climber(make)
    yield climber
    climber.close()


def running(site: Site) -> list[str]:
    """Ask each member which release it runs; one that does not answer runs none."""
    try:
        return [site.status(host)["version"] for host in site.hosts]
    except AssertionError:
        return []


def upgrade(site: Site, version: str, *flags: str) -> Outcome:
    return site.run("-y", f"--data=etcd_version={version}", *flags, "deploys/upgrade.py")


def interrupt(site: Site, version: str, times: int) -> None:
    """Press Ctrl-C in a turn of an upgrade."""
    process = site.start("-y", f"--data=etcd_version={version}", "deploys/upgrade.py")
    assert process.stderr is not None
    try:
        for _ in range(times):
            assert any("the turn of" in line for line in process.stderr), "it ended before that turn"
        os.killpg(process.pid, signal.SIGINT)
    finally:
        # What the terminal's signal ends besides decides its exit status: a command on a host fails, or none is under way.
        process.communicate(timeout=120)


def at_rest(site: Site, version: str) -> None:
    """Fail unless every member runs a release, and converging with it has nothing to do."""
    assert running(site) == [version] * len(site.hosts)
    upgrade(site, version).unchanged()
    site.settings["etcd_version"] = version
    site.etcd("-y").unchanged()


def told(request: pytest.FixtureRequest, hop: tuple[str, str], way: str, served: Served) -> None:
    served.report.told(f"upgrade.py, {named(hop)}, {way}")
    Hop.of(*hop, way, MEMBERS, served.report).note(request)


@pytest.mark.parametrize("hop", CHAIN, ids=named)
def test_a_hop_loses_no_write(climber: Climber, hop: tuple[str, str], request: pytest.FixtureRequest) -> None:
    _, after = hop
    site = climber.before(hop)
    with Served(site) as served:
        upgrade(site, after).succeeded()
    told(request, hop, "whole", served)
    at_rest(site, after)


@pytest.mark.long
@pytest.mark.parametrize("hop", CHAIN, ids=named, scope="class")
class TestInTheMiddle:
    """Both on one cluster for each hop: the canary leaves it where the cut begins."""

    def test_a_hop_is_taken_back_after_its_canary(
        self, climber: Climber, hop: tuple[str, str], request: pytest.FixtureRequest
    ) -> None:
        before, after = hop
        site = climber.before(hop)
        # The one that is asked first must not be the one that knows most.
        _, canary, _ = site.hosts
        limit = f"--limit={site.name(canary)}"
        if hop in BETWEEN:
            upgrade(site, after, limit).refused("--limit, wanted one step for a canary")
            return
        processes = site.processes()
        with Served(site) as served:
            upgrade(site, after, limit).succeeded()
            assert running(site) == [before, after, before]
            if climbs(hop):
                upgrade(site, after, "--data=etcd_rollback=true").succeeded()
            else:  # a downgrade is ended by naming the higher release again
                upgrade(site, before).succeeded()
        told(request, hop, "canary, and back", served)
        now = site.processes()
        assert [name for name in now if now[name] != processes[name]] == [canary.name]
        at_rest(site, before)

    def test_a_hop_that_is_cut_is_finished_by_the_same_command(
        self, climber: Climber, hop: tuple[str, str], request: pytest.FixtureRequest
    ) -> None:
        _, after = hop
        site = climber.before(hop)
        with Served(site) as served:
            interrupt(site, after, 2)
            assert set(running(site)) != {after}, "it is cut in the middle"
            upgrade(site, after).succeeded()
        told(request, hop, "Ctrl-C in the second turn, then again", served)
        at_rest(site, after)
