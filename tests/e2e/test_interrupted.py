"""A run that died in the middle is finished by the same command; two runs at once are one too many."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from etcd_steward.locking import FILE
from etcd_steward.record import read_controller_record
from tests.e2e.steward import RUN_SECONDS
from tests.e2e.watching import started_with
from tests.e2e.writer import Served
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
# Where a run is ended, and how many hosts still move when it is; the others stand still from the record on.
POINTS = {
    "the release is unpacked": (("alpine", "debian", "centos"), 3),
    "the record is written": (("alpine",) * 3, 3),
    "one host has its files": (("debian", "alpine", "ubuntu"), 1),
    "two members are started": (("centos", "ubuntu", "alpine"), 2),
}
BETWEEN = {"the record is written", "one host has its files"}


@dataclass
class Started:
    """A run that goes on while the test looks at it."""

    process: subprocess.Popen[str]

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail when the run ends before."""
        wait_until(what, lambda: condition() or self.process.poll() is not None, RUN_SECONDS, 0.02)
        assert self.process.poll() is None, (
            f"it ended before there was a {what}: {self.process.communicate()}"
        )

    def until_said(self, words: str, times: int) -> str:
        """Wait until the run has said something so many times, and return the last line that says it."""
        assert self.process.stderr is not None
        line = ""
        for _ in range(times):
            line = next((line for line in self.process.stderr if words in line), "")
            assert line, f"it ended before it said {words!r} {times} times"
        return line


@contextmanager
def ended_by_force(site: Site) -> Iterator[Started]:
    """Start a run, and kill it, with all that it started here, when the block ends."""
    process = site.start("-y", "deploys/etcd.py")
    try:
        yield Started(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _token(host: Host) -> str:
    (line,) = [line for line in host.read("/etc/etcd/conf.yml").splitlines() if "cluster-token" in line]
    return line.partition(": ")[2].strip("'\"")


@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=[pytest.mark.long] if point in BETWEEN else []) for point in POINTS],
)
def test_an_interrupted_bootstrap_is_finished_by_the_same_command(
    fresh: Callable[..., Site], point: str
) -> None:
    families, moving = POINTS[point]
    site = fresh(families, "ssh")
    first, second, last = site.hosts
    with ExitStack() as stack, ended_by_force(site) as run:
        run.until("release", lambda: last.exists("/opt/etcd/.staging"))
        if "release" not in point:
            run.until("record", lambda: read_controller_record(site.pki) is not None)
        for host in site.hosts[moving:]:
            host.pause()
            stack.callback(host.unpause)
        if "files" in point:
            run.until("configuration", lambda: first.exists("/etc/etcd/conf.yml"))
        if "started" in point:
            run.until("second member", lambda: bool(site.pid(first) and site.pid(second)))
    before = read_controller_record(site.pki)
    assert before is None if "release" in point else before is not None and before.open
    outcome = site.etcd("-y").succeeded()
    after = read_controller_record(site.pki)
    assert after is not None
    assert not after.open
    assert before in (None, after) or (before.token, before.id) == (after.token, after.id)
    assert {_token(host) for host in site.hosts} == {after.token}
    assert {f"{number:016x}" for number in site.cluster_ids()} == {after.id}
    if before is not None:
        assert "took over from a run that has ended" in outcome.text
    assert not any(host.exists(FILE) for host in site.hosts)
    site.etcd("-y").unchanged()


@pytest.fixture
def site(shared: Callable[..., Site]) -> Site:
    return shared(FAMILIES, "ssh")


@pytest.fixture
def heartbeat(site: Site) -> str:
    """Choose a heartbeat that the cluster does not have yet, and give it."""
    wanted = site.settings.get("etcd_config", {}).get("heartbeat-interval", 100) + 5
    site.settings["etcd_config"] = {"heartbeat-interval": wanted}
    return f"{wanted}ms"


@pytest.mark.parametrize("turns", [1, 2], ids=["in the first turn", "in the second turn"])
@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_an_interrupted_rolling_change_is_finished_by_the_same_command(
    site: Site, heartbeat: str, turns: int, families: tuple[str, ...]
) -> None:
    before = {host.name: site.pid(host) for host in site.hosts}
    with Served(site) as served:
        with ended_by_force(site) as run:
            name = run.until_said("healthy 3 -> 2 while ", turns).split()[-2]
            run.until(f"stopped {name}", lambda: site.pid(site.lab[name]) != before[name])
        site.etcd("-y").succeeded()
    served.report.told("etcd.py, another heartbeat, killed in a turn and run again")
    assert sorted(served.restarted) == [host.name for host in site.hosts], "each once"
    assert {started_with(site, host, "heartbeat-interval") for host in site.hosts} == {heartbeat}
    assert not any(host.exists(FILE) for host in site.hosts)
    site.etcd("-y").unchanged()


def _locked(site: Site) -> bool:
    return all(host.exists(FILE) for host in site.hosts)


def _all_healthy(site: Site) -> bool:
    return all("is healthy" in site.etcdctl(host, "endpoint", "health", check=False) for host in site.hosts)


def test_a_second_run_is_refused_by_the_name_of_the_first(site: Site, heartbeat: str) -> None:
    assert not any(host.exists(FILE) for host in site.hosts)
    first = site.start("-y", "deploys/etcd.py")
    try:
        wait_until("lock on every host", lambda: _locked(site) or first.poll() is not None, RUN_SECONDS, 0.02)
        os.killpg(first.pid, signal.SIGSTOP)
        assert _locked(site)
        # On a busy machine its first turn has begun; what a host was given is done to its end.
        wait_until("every member's answer", lambda: _all_healthy(site), RUN_SECONDS)
        processes = site.processes()
        site.etcd("-y").failed(
            "found a run of somebody else",
            f"(process {first.pid}) runs etcd since",
            "next: wait until it has ended",
        )
        assert site.processes() == processes
        assert _locked(site), "the second run must not give back what it does not hold"
        site.run("-y", "deploys/status.py").succeeded()
    finally:
        os.killpg(first.pid, signal.SIGCONT)
        _, said = first.communicate(timeout=RUN_SECONDS)
    assert first.returncode == 0, said
    assert {started_with(site, host, "heartbeat-interval") for host in site.hosts} == {heartbeat}
    assert not any(host.exists(FILE) for host in site.hosts)


def test_the_lock_of_another_controller_is_taken_only_when_that_is_asked_for(
    site: Site, heartbeat: str
) -> None:
    boot = "11111111-2222-3333-4444-555555555555"
    held = site.hosts[1]
    held.write(FILE, f"0123456789abcdef {boot} 4711 99 upgrade 2026-01-02T03:04:05Z ada@laptop\n", 0o600)
    site.etcd("-y").failed(
        f"{site.name(held)}: ada@laptop (process 4711) runs upgrade since 2026-01-02T03:04:05Z",
        "if it is surely dead, run again with --data etcd_break_lock=true",
    )
    assert [host.exists(FILE) for host in site.hosts] == [False, True, False], "on all hosts or on none"
    site.etcd("-y", "--data=etcd_break_lock=true").succeeded()
    assert {started_with(site, host, "heartbeat-interval") for host in site.hosts} == {heartbeat}
    assert not any(host.exists(FILE) for host in site.hosts)
