"""How hops between releases are gone, whole, cut in the middle, or taken back after a canary, and what each must leave behind."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.hops import Hop

if TYPE_CHECKING:
    import pytest

    from tests.e2e.steward import Outcome, Site
    from tests.e2e.writer import Served

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
# What members run between two steps.
BETWEEN = {("3.5.34", "3.7.3"): "3.6.16", ("3.7.3", "3.5.34"): "3.6.16"}
CUT = "Ctrl-C in the second turn, then again"
BACK = "canary, and back"


def named(hop: tuple[str, str]) -> str:
    return " to ".join(hop)


def climbs(hop: tuple[str, str]) -> bool:
    before, after = ([int(part) for part in version.split(".")] for version in hop)
    return before < after


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


def at_rest(site: Site, version: str, verb: str = "deploys/etcd.py") -> None:
    """Fail unless every member runs a release, and converging with it has nothing to do."""
    assert running(site) == [version] * len(site.hosts)
    upgrade(site, version).unchanged()
    site.settings["etcd_version"] = version
    site.run("-y", verb).unchanged()


def told(
    request: pytest.FixtureRequest, hop: tuple[str, str], way: str, members: str, served: Served
) -> None:
    """Leave the writer's figures for the end of the run, and for the table of hops."""
    served.report.told(f"upgrade.py, {named(hop)}, {way}, {members}")
    Hop.of(*hop, way, members, served.report).note(request)


def take_back(site: Site, hop: tuple[str, str]) -> None:
    """Upgrade the second member alone, and bring it back."""
    before, after = hop
    # The one that is asked first must not be the one that knows most.
    _, canary, _ = site.hosts
    upgrade(site, after, f"--limit={site.name(canary)}").succeeded()
    assert running(site) == [before, after, before]
    if climbs(hop):
        upgrade(site, after, "--data=etcd_rollback=true").succeeded()
    else:  # a downgrade is ended by naming the higher release again
        upgrade(site, before).succeeded()


def cut_and_finish(site: Site, hop: tuple[str, str]) -> None:
    """Cut an upgrade in its second turn, and finish it with the same command."""
    _, after = hop
    interrupt(site, after, 2)
    assert set(running(site)) != {after}, "it is cut in the middle"
    upgrade(site, after).succeeded()
