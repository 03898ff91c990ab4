"""A run that was killed, or stopped by a failing host, is finished by the same command; no id changes, no write is lost.

By default each verb is cut once per step of its plan, on one cluster. `scripts/test --crash` cuts at every remote
command; CRASH_STRIDE=5 takes every fifth only, CRASH_FIRST=41 begins with the 41st.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from signal import SIGKILL, SIGTERM
from typing import TYPE_CHECKING

import pytest

from etcd_steward.locking import FILE
from tests.e2e.conftest import make_site
from tests.e2e.cutting import Cut, Cutter
from tests.e2e.faults import CANNOT_STOP, MODES, broken, leads, others_serve
from tests.e2e.plans import (
    COPY,
    DEFRAGMENT,
    FAMILIES,
    GIVE,
    OLD,
    SNAPSHOTS,
    VERBS,
    four,
    joined,
    made,
    new,
    slower,
    three,
    without_a_disk,
)
from tests.e2e.writer import Writer
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cutting import When
    from tests.e2e.plans import Verb
    from tests.e2e.steward import Site

pytestmark = [pytest.mark.target, pytest.mark.long]


@pytest.fixture(scope="module")
def site(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    settings = {"etcd_version": OLD, "etcd_force_version": False, "etcd_timeout": 60}
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("crash")
        site = make_site(stack, FAMILIES, "docker", mirror_url, cache, folder, {"settings": settings})
        mirror.glibc_shim(site.hosts[0])
        site.hosts = site.hosts[:3]
        site.etcd("-y").succeeded()
        yield site


def ids(site: Site) -> dict[str, str]:
    lines = site.etcdctl(site.hosts[0], "member", "list", "-w", "simple").splitlines()
    return {line.split(", ")[2]: line.split(", ")[0] for line in lines}


@contextmanager
def nothing_is_lost(site: Site, verb: Verb) -> Iterator[None]:
    """Write all the time, and see in the end that all is there and the members are who they were."""
    if not verb.keeps:
        yield
        return
    before = ids(site)
    if verb.writes:
        with Writer(site, through=[site.lab[name] for name in verb.keeps], seconds=900) as writer:
            yield
        writer.report.served()
    else:
        yield
    after = ids(site)
    assert {name: after[name] for name in verb.keeps} == {name: before[name] for name in verb.keeps}


def nothing_is_left(site: Site) -> None:
    """Fail unless no host has a lock or a temporary of a run that is over."""
    for host in site.lab.hosts.values():
        left = f"ls -d {FILE} /var/tmp/etcd-steward.* {SNAPSHOTS}/.taking.* {SNAPSHOTS}/.drill.* 2>/dev/null"
        assert host.run(left, check=False).stdout == ""


# Rotations are killed in tests/e2e/test_rotate_ca.py as well, bootstraps in tests/e2e/test_interrupted.py.
NAMES = [name if verb.shown else pytest.param(name, marks=pytest.mark.crash) for name, verb in VERBS.items()]


@pytest.mark.parametrize("families", ["+".join(map(title, FAMILIES))])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_cut_at_a_step_of_its_plan_is_finished_by_the_same_command(
    site: Site, name: str, families: str
) -> None:
    verb, cutter = VERBS[name], Cutter(site)
    verb.prepare(site)
    words = ("-y", *verb.words(site))
    with nothing_is_lost(site, verb):
        for cut in verb.steps:
            if cut != verb.steps[0] and not verb.chained:
                verb.prepare(site)
            if cut != verb.steps[0]:
                words = ("-y", *verb.words(site))
            cutter.cut(cut, *words)
            if not verb.chained:
                site.run(*words).succeeded()
        if verb.chained:
            words = ("-y", *verb.words(site))
        site.run(*words).succeeded()
    verb.then(site)
    nothing_is_left(site)


@pytest.mark.crash
@pytest.mark.parametrize("families", ["+".join(map(title, FAMILIES))])
@pytest.mark.parametrize("name", VERBS)
def test_a_run_that_is_cut_at_any_remote_command_is_finished_by_the_same_command(
    site: Site, name: str, families: str
) -> None:
    verb, cutter = VERBS[name], Cutter(site)
    verb.prepare(site)
    commands = cutter.count("-y", *verb.words(site))
    first, stride = (int(os.environ.get(f"CRASH_{which}", "1")) for which in ("FIRST", "STRIDE"))
    for number in range(first, commands + 1, stride):
        verb.prepare(site)
        words = ("-y", *verb.words(site))
        when: When = ("before", "during", "after")[number % 3]
        cut = Cut("", number, when, SIGTERM if number % 2 else SIGKILL)
        print(f"{name}: {cut} of {commands}")  # shown where it fails
        with nothing_is_lost(site, verb):
            cutter.cut(cut, *words, surely=False)
            site.run(*words).succeeded()
        verb.then(site)
        nothing_is_left(site)


# A failing host in the middle.


# A heartbeat that no member starts with is tried in all modes: tests/e2e/test_rolling.py.
@pytest.mark.parametrize("mode", MODES)
def test_f18_a_member_that_does_not_come_back_stops_a_rolling_change_and_the_same_command_finishes_it(
    site: Site, mode: str
) -> None:
    made(site)
    slower(site)
    first, _, failing = site.hosts
    leads(site, first)
    before = site.pid(first)
    with nothing_is_lost(site, VERBS["config change"]):
        with broken(site, failing):
            outcome = site.etcd("-y", *MODES[mode])
            outcome.failed("found n3 not healthy after 10 s", "no other member was touched after it")
            others_serve(site, failing)
            if not mode:  # otherwise pyinfra chooses who comes first
                assert site.pid(first) == before, "the last one was not touched"
        failing.run("systemctl start etcd")
        site.etcd("-y", *MODES[mode]).succeeded()
    site.etcd("-y").unchanged()


def test_f09_a_newcomer_that_does_not_start_harms_nobody_and_the_same_command_finishes_its_join(
    site: Site,
) -> None:
    four(site)
    newcomer = site.hosts[3]
    with nothing_is_lost(site, VERBS["join"]):
        with broken(site, newcomer):
            site.etcd("-y").failed("found n4 behind after 10 s", "wanted it to catch up")
            others_serve(site, newcomer)
        for mode in ("--serial", "--no-wait"):
            site.etcd("-y", mode).refused(
                "is to join, wanted the others judged after it", f"run without {mode}"
            )
        site.etcd("-y").succeeded()
    assert sorted(ids(site)) == ["n1", "n2", "n3", "n4"]
    assert {site.status(host)["version"] for host in site.hosts} == {site.settings["etcd_version"]}


def test_a_replaced_member_that_does_not_start_harms_nobody_and_the_same_command_finishes_it(
    site: Site,
) -> None:
    without_a_disk(site)
    failing = site.hosts[2]
    words = ("-y", *VERBS["replace"].words(site))
    with nothing_is_lost(site, VERBS["replace"]):
        with broken(site, failing):
            site.run(*words).failed("found n3 behind after 10 s", "wanted it to catch up")
            others_serve(site, failing)
        site.run(*words).succeeded()
    site.etcd("-y").unchanged()


def test_a_member_that_cannot_be_stopped_is_told_and_the_same_command_finishes_its_removal(
    site: Site,
) -> None:
    joined(site)
    failing = site.hosts[3]
    words = ("-y", *VERBS["remove"].words(site))
    with nothing_is_lost(site, VERBS["remove"]):
        with broken(site, failing, CANNOT_STOP):
            site.run(*words).failed("Failed to stop etcd.service")
            others_serve(site, failing)
            assert failing.exists("/var/lib/etcd/member"), "what may be in use stays where it is"
        site.run(*words).succeeded()
    assert sorted(ids(site)) == ["n1", "n2", "n3"]


@pytest.mark.parametrize("mode", MODES)
def test_a_member_that_stops_while_others_are_defragmented_ends_the_run_and_the_same_command_finishes_it(
    site: Site, mode: str
) -> None:
    three(site)
    new(site)
    failing = site.hosts[2]
    leads(site, site.hosts[0])
    words = ("-y", *MODES[mode], *VERBS["maintain"].words(site))
    cutter = Cutter(site)
    with nothing_is_lost(site, VERBS["maintain"]):
        with broken(site, failing):
            blow = ["docker", "exec", failing.container, "systemctl", "stop", "etcd"]
            outcome = cutter.strike(Cut(DEFRAGMENT), blow, *words)
            outcome.failed("n3", "failed in this run")
            others_serve(site, failing)
            done = [line for line in cutter.log if DEFRAGMENT in line]
            assert len(done) == 1, "nobody else was touched"
        failing.run("systemctl start etcd")
        site.run(*words).succeeded()


def test_what_killed_runs_have_left_is_told_by_the_status_and_cleared_away_by_the_next_ones(
    site: Site,
) -> None:
    made(site)
    cutter = Cutter(site)
    cutter.cut(Cut(COPY), "-y", "deploys/backup.py")
    (giver,) = (host for host in site.hosts if host.run("ls -d /var/tmp/etcd-steward.*", check=False).stdout)
    drill = f"{SNAPSHOTS}/.drill.aB3dE6"
    giver.run(f"mkdir -m 700 {drill} && touch -t 202601010000 {drill}")
    told = " ".join(site.run("-y", "deploys/status.py").text.split())
    assert f"{site.name(giver)}: left by an interrupted run: /var/tmp/etcd-steward." in told
    assert f"{site.name(giver)}: left by an interrupted run: {drill}; next: run deploys/drill.py" in told
    slower(site)
    cutter.cut(Cut(GIVE, 1, "before"), "-y", "deploys/etcd.py")
    told = " ".join(site.run("-y", "deploys/status.py").text.split())
    assert "the lock of a run that has ended (" in told
    assert "/var/tmp/" not in told, "that run took it away"
    for verb in ("etcd", "backup", "drill"):
        site.run("-y", f"deploys/{verb}.py").succeeded()
    nothing_is_left(site)
