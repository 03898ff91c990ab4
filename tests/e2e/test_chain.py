"""Every hop between the releases of today loses no write: whole, cut in the middle and continued, and taken back after a canary."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import make_site
from tests.e2e.hopping import (
    BACK,
    BETWEEN,
    CHAIN,
    CUT,
    at_rest,
    cut_and_finish,
    named,
    running,
    take_back,
    told,
    upgrade,
)
from tests.e2e.writer import Served
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
MEMBERS = ", ".join(map(title, FAMILIES))
# The writer needs etcd's JSON gateway, which 3.4 switches off where it reads a configuration file.
SETTINGS = {
    "etcd_force_version": False,
    "etcd_config": {"enable-grpc-gateway": True},
    "etcd_timeout": 60,
}


class Climber:
    """One cluster for all hops: made anew, on another release, only where it is not where a hop begins."""

    def __init__(self, make: Callable[[ExitStack, str], Site]) -> None:
        self._make = make
        self._stack = ExitStack()
        self._site: Site | None = None

    def before(self, hop: tuple[str, str]) -> Site:
        """Give a healthy cluster on the release where a hop begins."""
        targets.SEEN.update(FAMILIES)
        # It is made before: a build takes longer than a download may.
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


@pytest.mark.parametrize("hop", CHAIN, ids=named)
def test_a_hop_loses_no_write(climber: Climber, hop: tuple[str, str], request: pytest.FixtureRequest) -> None:
    _, after = hop
    site = climber.before(hop)
    with Served(site) as served:
        upgrade(site, after).succeeded()
    told(request, hop, "whole", MEMBERS, served)
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
        canary = site.hosts[1]
        if hop in BETWEEN:
            upgrade(site, after, f"--limit={site.name(canary)}").refused(
                "--limit, wanted one step for a canary"
            )
            return
        processes = site.processes()
        with Served(site) as served:
            take_back(site, hop)
        told(request, hop, BACK, MEMBERS, served)
        now = site.processes()
        assert [name for name in now if now[name] != processes[name]] == [canary.name]
        at_rest(site, before)

    def test_a_hop_that_is_cut_is_finished_by_the_same_command(
        self, climber: Climber, hop: tuple[str, str], request: pytest.FixtureRequest
    ) -> None:
        _, after = hop
        site = climber.before(hop)
        with Served(site) as served:
            cut_and_finish(site, hop)
        told(request, hop, CUT, MEMBERS, served)
        at_rest(site, after)
