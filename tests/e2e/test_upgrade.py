"""An upgrade goes one minor version and one member at a time, stops where it does harm, and loses no write."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward.bolt import bucket
from etcd_steward.gates import strangers, v2_content
from etcd_steward.observed import listed_members
from etcd_steward.shell import script
from tests.e2e.conftest import make_site
from tests.e2e.writer import Served
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

# Releases other than 3.5.0 and 3.5.1 need glibc here: Alpine gets the two files of it that they use.
MIXED = ("alpine", "debian", "centos")
STATIC = ("alpine", "alpine", "alpine-arm64")
NAMES = "+".join(map(title, MIXED))
MODES = {"": (), "--serial": ("--serial",), "--no-wait": ("--no-wait",)}
SNAPSHOTS = "/var/lib/etcd-snapshots"
# The writer needs etcd's JSON gateway, which 3.4 switches off where it reads a configuration file.
OLD = {"etcd_version": "3.4.23", "etcd_config": {"enable-grpc-gateway": True}, "etcd_timeout": 60}
# From each release to the next that a test may go to.
NEXT = {"3.4.23": "3.5.16", "3.5.16": "3.5.30", "3.5.30": "3.5.16"}


@pytest.fixture(scope="module")
def made(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Give the cluster that the tests of this module climb with."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("upgrade")
        site = make_site(stack, MIXED, "docker", mirror_url, cache, folder, {"settings": OLD})
        for host in site.hosts:
            if host.family == "alpine":
                mirror.glibc_shim(host)
        site.etcd("-y").succeeded()
        yield site


@pytest.fixture(params=[NAMES])
def site(made: Site) -> Site:
    targets.SEEN.update(MIXED)
    return made


def upgrade(site: Site, version: str, *flags: str) -> Outcome:
    return site.run("-y", f"--data=etcd_version={version}", *flags, "deploys/upgrade.py")


def running(site: Site) -> dict[str, str]:
    return {host.name: site.status(host)["version"] for host in site.hosts}


def release(site: Site) -> str:
    (version,) = set(running(site).values())
    return version


def turns(site: Site) -> list[Host]:
    """Say in which order healthy members get their turn."""
    leader = site.status(site.hosts[0])["leader"]
    return sorted(
        site.hosts, key=lambda host: (site.status(host)["header"]["member_id"] == leader, host.name)
    )


def snapshots(site: Site) -> list[dict[str, Any]]:
    """Read the manifests of all snapshots that upgrades took."""
    lines = [
        line
        for host in site.hosts
        for line in host.run(f"cat {SNAPSHOTS}/*.json 2>/dev/null; :").stdout.splitlines()
    ]
    return [one for one in map(json.loads, lines) if one["origin"] == "upgrade"]


def unpack(host: Host, version: str) -> str:
    """Put a release onto a host as staging does, where it is not there yet, and say where it lies."""
    folder, name = f"/opt/etcd/{version}", mirror.archive_name(version, "amd64")
    if not host.exists(f"{folder}/etcd"):
        host.write(f"/root/{name}", (mirror.prepare(version) / f"v{version}" / name).read_bytes())
        host.run(f"mkdir -p {folder} && tar -xzof /root/{name} -C {folder} --strip-components=1")
        host.run(f"chown -R root:root {folder}; echo 0 >{folder}/.archive-sha256")
    return folder


def tell(served: Served, what: str) -> None:
    served.report.told(f"upgrade.py, {what}")


def test_a_cluster_climbs_from_3_4_to_3_5_with_a_canary_and_a_way_back(site: Site) -> None:
    canary, *others = site.hosts
    before = {host.name: site.processes()[host.name] for host in others}
    with Served(site) as served:
        upgrade(site, "3.5.16", f"--limit={site.name(canary)}").succeeded()
        assert running(site) == {canary.name: "3.5.16", **{host.name: "3.4.23" for host in others}}
        upgrade(site, "3.5.16", f"--limit={site.name(canary)}").unchanged()
        upgrade(site, "3.4.23").refused("run with --data etcd_rollback=true")
        upgrade(site, "3.5.16", "--data=etcd_rollback=true").succeeded()
        assert release(site) == "3.4.23"
        assert {host.name: site.processes()[host.name] for host in others} == before
    tell(served, "canary to 3.5.16 and back")
    site.etcd("-y").unchanged()
    for version in ("3.5.16", "3.5.30"):
        order = [host.name for host in turns(site)]
        taken = len(snapshots(site))
        with Served(site) as served:
            outcome = upgrade(site, version).succeeded()
        tell(served, f"to {version}")
        assert release(site) == version
        said = [f"quorum 2, healthy 3 -> 2 while {name} restarts" for name in order]
        places = [outcome.text.index(sentence) for sentence in said]
        assert places == sorted(places), "followers first, the leader last"
        assert len(snapshots(site)) == taken + 1, "one snapshot before the first restart"
    again = upgrade(site, "3.5.30").unchanged()
    assert "every member runs etcd 3.5.30" in again.text
    upgrade(site, "3.5.30", "--data=etcd_rollback=true").refused("there is nobody to follow back")


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_a_member_that_does_not_start_stops_the_upgrade_and_the_same_command_finishes_it(
    site: Site, mode: str
) -> None:
    before = release(site)
    wanted = NEXT[before]
    broken = turns(site)[1]
    healthy = [host for host in site.hosts if host is not broken]
    unpack(broken, wanted)
    program = f"/opt/etcd/{wanted}/etcd"
    broken.run(f"mv {program} {program}.good; echo 'exit 1' >{program}; chmod 755 {program}")
    with Served(site) as served:
        try:
            outcome = upgrade(site, wanted, "--data=etcd_timeout=8", *MODES[mode]).failed(
                "not healthy after 8 s", "wanted it healthy", "no other member was touched after it"
            )
            assert site.pid(broken) == 0
            done = {host.name: site.processes()[host.name] for host in healthy}
            ahead = [host.name for host in healthy if site.status(host)["version"] == wanted]
            assert mode or len(ahead) == 1, "there pyinfra orders the hosts itself"
            untouched = len(ahead) < len(healthy)
            assert ("left untouched" in outcome.text) == untouched
            assert (f"{site.name(broken)} failed in this run" in outcome.text) == untouched
            for host in healthy:
                site.put(host, "written", f"while {broken.name} is down")
            taken = snapshots(site)
            if mode and untouched:  # a member that is the last of the run goes before nobody
                upgrade(site, wanted, *MODES[mode]).refused(f"{mode} while {site.name(broken)} is down")
        finally:
            broken.run(f"mv {program}.good {program}")
            if mode:  # where a member that is down cannot come first, it has to be started again
                command = {"systemd": "systemctl restart etcd", "openrc": "rc-service etcd restart"}
                broken.run(command[broken.init])
                wait_until(
                    "it is back",
                    lambda: "is healthy" in site.etcdctl(broken, "endpoint", "health", check=False),
                    60,
                )
        upgrade(site, wanted, *MODES[mode]).succeeded()
    tell(served, f"{before} to {wanted}, {broken.name} failing {mode}")
    assert release(site) == wanted
    assert {name: site.processes()[name] for name in ahead} == {name: done[name] for name in ahead}
    # Where it is back before the same command looks, all are well, and nothing spares the rest a snapshot of their own;
    # without a mode its supervisor decides that.
    more = len(snapshots(site)) - len(taken)
    assert more == (1 if untouched else 0) if mode else more in {0, 1}
    upgrade(site, wanted).unchanged()


@pytest.mark.long
def test_without_a_snapshot_no_member_is_touched(site: Site) -> None:
    processes, taken = site.processes(), snapshots(site)
    wanted = NEXT[release(site)]
    # The folder's disk lacks what the snapshot and etcd need beside it.
    upgrade(site, wanted, "--data=etcd_min_free_mb=100000000").failed(
        f"MB free in {SNAPSHOTS}, wanted", "no member was touched"
    )
    for host in site.hosts:
        host.run(f"mv {SNAPSHOTS} {SNAPSHOTS}.aside 2>/dev/null; echo >{SNAPSHOTS}")
    upgrade(site, wanted).failed("wanted a snapshot", "no member was touched")
    for host in site.hosts:
        host.run(f"rm {SNAPSHOTS}; mv {SNAPSHOTS}.aside {SNAPSHOTS} 2>/dev/null; :")
    assert site.processes() == processes
    assert snapshots(site) == taken


def test_converging_with_another_version_ends_with_the_upgrade_command(site: Site) -> None:
    before, other = site.processes(), NEXT[release(site)]
    outcome = site.run("-y", f"--data=etcd_version={other}", "deploys/etcd.py").failed(
        f"found etcd {release(site)} running, wanted {other} as etcd_version says; "
        f"next: pyinfra -y INVENTORY deploys/upgrade.py --data etcd_version={other}"
    )
    assert not outcome.verdicts["Success"]
    assert site.processes() == before


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("3.3.25", "etcd 3.3 is older than 3.4"),
        ("3.6", "wanted a full version such as 3.6"),
    ],
)
def test_a_way_that_etcd_does_not_support_is_refused_before_any_change(
    site: Site, version: str, sentence: str
) -> None:
    upgrade(site, version).refused(sentence)


@pytest.mark.long
def test_f31_keys_of_the_v2_interface_are_found_beside_a_running_member(site: Site) -> None:
    """What stands before 3.6 is tried on 3.5.30, whose etcdutl knows the check; there is no build of 3.6 here."""
    host = next(host for host in site.hosts if host.family == "debian")
    folder, url = unpack(host, "3.5.30"), f"http://{host.address}:4379"
    peer = f"http://{host.address}:4380"
    flags = (
        f"--name=v2 --data-dir=/root/v2 --listen-client-urls={url} --advertise-client-urls={url} "
        f"--listen-peer-urls={peer} --initial-advertise-peer-urls={peer} --initial-cluster=v2={peer} "
        "--enable-v2 --snapshot-count=5"
    )
    host.run(f"{folder}/etcd {flags} >/root/v2.log 2>&1 & echo $! >/root/v2.pid")
    ctl = f"{folder}/etcdctl --endpoints={url}"
    wait_until("it answers", lambda: host.run(f"{ctl} endpoint health", check=False).returncode == 0, 30)
    question = script(
        "ctl.sh",
        "enter.sh",
        "v2store.sh",
        etcdutl=f"{folder}/etcdutl",
        data_dir="/root/v2",
        wal_dir=None,
        folder="/root/copies",
    )
    host.run(f"{ctl} member add learner --learner --peer-urls=http://203.0.113.1:2380")

    def said() -> str:
        host.run(f"for n in $(seq 12); do {ctl} put k$n v; done")
        return v2_content(host.run("sh", "-c", question + "").stdout.splitlines())

    try:
        assert said() == ""
        put = urllib.request.Request(f"{url}/v2/keys/left-over", b"value=1", method="PUT")
        put.add_header("Content-Type", "application/x-www-form-urlencoded")
        with urllib.request.urlopen(put, timeout=10) as answer:
            assert answer.status == 201
        wait_until("etcd writes a raft snapshot with it", lambda: "detected custom content" in said(), 30)
        assert host.run("ls -A /root/copies").stdout == ""
        host.run(f"{ctl} snapshot save /root/v2.db")
        archived = host.run("base64 /root/v2.db").stdout
        stored = bucket(io.BytesIO(base64.b64decode(archived)), b"members")
        listed = json.loads(host.run(f"{ctl} member list -w json").stdout.splitlines()[-1])
        assert len(stored) == 2
        assert strangers(stored.values(), listed_members(listed)) == []
    finally:
        host.run("kill $(cat /root/v2.pid)")


def at_the_prompt(site: Site, version: str, act: Callable[[Any], object]) -> int:
    """Run the upgrade without -y, do something at pyinfra's question, and tell the exit status."""
    process = site.start(f"--data=etcd_version={version}", "deploys/upgrade.py", stdin=subprocess.PIPE)
    for line in process.stderr or ():
        if "skip this step with -y" in line:
            break
    act(process)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.long
def test_what_ends_with_status_0_though_nothing_was_done_is_as_documented(site: Site) -> None:
    processes, wanted = site.processes(), NEXT[release(site)]
    told = {
        "declined": at_the_prompt(site, wanted, lambda process: process.stdin.write("n\n")),
        "Ctrl-C": at_the_prompt(site, wanted, lambda process: os.killpg(process.pid, signal.SIGINT)),
        "no terminal": site.run(f"--data=etcd_version={wanted}", "deploys/upgrade.py").rc,
        "dry": upgrade(site, wanted, "--dry").rc,
    }
    assert told == {"declined": 0, "Ctrl-C": 130, "no terminal": 1, "dry": 0}
    assert site.processes() == processes


@pytest.mark.long
def test_ctrl_c_in_the_middle_ends_with_status_0_and_the_same_command_finishes(site: Site) -> None:
    wanted = NEXT[release(site)]
    with Served(site) as served:
        process = site.start("-y", f"--data=etcd_version={wanted}", "deploys/upgrade.py")
        assert process.stderr is not None
        for line in process.stderr:
            if "the turn of" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        upgrade(site, wanted).succeeded()
    tell(served, f"to {wanted}, interrupted")
    assert release(site) == wanted


@pytest.mark.long
@pytest.mark.parametrize("families", [STATIC], ids=["+".join(map(title, STATIC))])
def test_static_releases_are_upgraded_on_plain_alpine_of_both_architectures(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, settings={"etcd_version": "3.5.0", "etcd_timeout": 180})
    site.etcd("-y").succeeded()
    site.settings["etcd_force_version"] = False
    upgrade(site, "3.5.1").refused("data of members may come to differ after a crash")
    site.settings["etcd_force_version"] = True
    with Served(site) as served:
        upgrade(site, "3.5.1").succeeded()
    tell(served, "3.5.0 to 3.5.1, plain Alpine")
    assert release(site) == "3.5.1"
