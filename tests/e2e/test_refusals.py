"""What could lose data is refused with its sentence, while the other members serve on."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.targets import mirror
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("debian", "alpine", "centos")
DATA = "/var/lib/etcd/member"


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(shared: Callable[..., Site]) -> Site:
    return shared(FAMILIES, "docker", etcd_timeout=60)


def stop(host: Host) -> None:
    host.run({"systemd": "systemctl stop etcd", "openrc": "rc-service etcd stop"}[host.init])


def start(host: Host, *, check: bool = True) -> int:
    command = {"systemd": "systemctl start etcd", "openrc": "rc-service etcd start"}[host.init]
    return host.run(command, check=check).returncode


@contextmanager
def stopped(site: Site, *hosts: Host) -> Iterator[None]:
    """Stop some members, and in the end let them serve again with what is then in their folders."""
    for host in hosts:
        stop(host)
    try:
        yield
    finally:
        for host in hosts:
            host.run(
                "systemctl reset-failed etcd" if host.init == "systemd" else "rc-service etcd zap",
                check=False,
            )
        # Without waiting for each other: a first member has no quorum alone.
        for host in hosts:
            host.run("systemctl start --no-block etcd" if host.init == "systemd" else "rc-service etcd start")
        for host in site.hosts:
            wait_until(
                f"health of {host.name}",
                lambda host=host: "is healthy" in site.etcdctl(host, "endpoint", "health", check=False),
            )


def served_on(site: Site, host: Host, key: str) -> None:
    """Fail unless a member that was not touched takes a write."""
    site.put(host, key, "served")
    assert site.get(host, key) == "served"


def test_f02_an_emptied_data_folder_is_refused_and_never_started_empty(site: Site) -> None:
    first, second, _ = site.hosts
    with stopped(site, second):
        second.run(f"mv {DATA} /root/disk")
        site.etcd("-y").refused(
            "no data in /var/lib/etcd, though the cluster knows this member", "etcd_replace=n2"
        )
        start(second, check=False)
        assert site.pid(second) == 0, "the init system does not start it empty either"
        served_on(site, first, "f02")
        stop(second)
        second.run(f"rm -rf {DATA}; mv /root/disk {DATA}")
    site.etcd("-y").unchanged()


@pytest.mark.parametrize(
    ("half", "sentence"),
    [("snap/db", "the database (member/snap/db) is missing"), ("wal", "the write-ahead log is missing")],
)
def test_f06_half_a_data_folder_is_refused_and_the_missing_half_is_named(
    site: Site, half: str, sentence: str
) -> None:
    first, second, _ = site.hosts
    with stopped(site, second):
        second.run(f"mv {DATA}/{half} /root/half")
        site.etcd("-y").refused("half a data folder in /var/lib/etcd", sentence)
        served_on(site, first, "half")
        second.run(f"mv /root/half {DATA}/{half}")
    site.etcd("-y").unchanged()


def test_f49_a_cloned_host_is_refused_always(site: Site) -> None:
    first, second, third = site.hosts
    with stopped(site, second):
        second.run(f"mv {DATA} /root/own")
        copy = third.run("tar -C /var/lib/etcd -cf - member | base64").stdout
        second.run("base64 -d | tar -C /var/lib/etcd -xf -", input=copy)
        site.etcd("-y").refused("clone")
        served_on(site, first, "clone")
        second.run(f"mv {DATA} /root/clone.$$; mv /root/own {DATA}")
    site.etcd("-y").unchanged()


def test_an_edited_data_folder_is_refused_whether_etcd_runs_or_not(site: Site) -> None:
    first, second, _ = site.hosts
    site.own["n2"]["etcd_data_dir"] = "/var/lib/elsewhere"
    try:
        site.etcd("-y").refused(
            "etcd runs",
            "but /var/lib/elsewhere holds no data; its record says /var/lib/etcd",
            "set etcd_data_dir back",
        )
        served_on(site, first, "edited")
        with stopped(site, second):
            site.etcd("-y").refused("no data in /var/lib/elsewhere, though the cluster knows this member")
    finally:
        del site.own["n2"]["etcd_data_dir"]
    site.etcd("-y").unchanged()


def test_f05_f06_data_of_another_life_is_refused(site: Site) -> None:
    first, second, _ = site.hosts
    with stopped(site, second):
        second.run(f"mv {DATA} /root/own")
        second.run(
            f"cd /root && (timeout 20 /opt/etcd/{mirror.DEFAULT}/etcd --data-dir /root/life --listen-client-urls http://127.0.0.1:3379 "
            "--advertise-client-urls http://127.0.0.1:3379 --listen-peer-urls http://127.0.0.1:3380 "
            "--initial-advertise-peer-urls http://127.0.0.1:3380 --initial-cluster default=http://127.0.0.1:3380 "
            ">/root/life.log 2>&1 & echo $! >/root/life.pid); until ls /root/life/member/wal/*.wal && [ -e /root/life/member/snap/db ]; "
            "do sleep 0.1; done; kill $(cat /root/life.pid) || true",
        )
        second.run(f"cp -R /root/life/member {DATA} && chown -R etcd:etcd {DATA}")
        wait_until(
            "end of the other etcd",
            lambda: "/root/life" not in second.run("ps -ef || ps", check=False).stdout,
        )
        site.etcd("-y").refused("data of another cluster in /var/lib/etcd", "etcd_move_aside=n2")
        served_on(site, first, "life")
        second.run(f"mv {DATA} /root/life.$$; mv /root/own {DATA}")
    site.etcd("-y").unchanged()


def test_f02_a_cluster_whose_disks_are_all_gone_is_never_made_anew(site: Site) -> None:
    with stopped(site, *site.hosts):
        for host in site.hosts:
            host.run(f"mv {DATA} /root/disk")
        site.etcd("-y").refused(
            "a record of cluster", "but no data anywhere", "is a mount missing", "etcd_forget_cluster="
        )
        for host in site.hosts:
            assert not host.exists(DATA)
            host.run(f"mv /root/disk {DATA}")
    site.etcd("-y").unchanged()


def test_a_wrong_controller_is_refused(site: Site) -> None:
    record = site.pki / "cluster.json"
    before = record.read_text()
    record.write_text(json.dumps({**json.loads(before), "id": "00000000deadbeef"}) + "\n")
    try:
        site.etcd("-y").refused("more than one cluster id", "the controller: 00000000deadbeef")
        served_on(site, site.hosts[0], "wrong")
    finally:
        record.write_text(before)
    site.etcd("-y").unchanged()


def test_an_etcd_that_is_not_ours_is_refused(site: Site) -> None:
    first, second, _ = site.hosts
    second.run(
        f"cp /opt/etcd/{mirror.DEFAULT}/etcd /root/etcd && cd /root && (/root/etcd --data-dir /root/foreign --listen-client-urls "
        "http://127.0.0.1:4379 --advertise-client-urls http://127.0.0.1:4379 --listen-peer-urls http://127.0.0.1:4380 "
        "--initial-advertise-peer-urls http://127.0.0.1:4380 --initial-cluster default=http://127.0.0.1:4380 "
        ">/dev/null 2>&1 & echo $! >/root/foreign.pid)"
    )
    try:
        site.etcd("-y").refused("an etcd that is not ours", "/root/etcd")
        served_on(site, first, "foreign")
    finally:
        second.run("kill $(cat /root/foreign.pid)")
        wait_until(
            "end of the foreign etcd",
            lambda: "/root/etcd" not in second.run("ps -ef || ps", check=False).stdout,
        )
    site.etcd("-y").unchanged()


def test_f43_a_host_that_does_not_answer_forbids_a_new_cluster(fresh: Callable[..., Site]) -> None:
    site = fresh(("debian", "alpine", "debian"), "ssh")
    site.hosts[2].kill()
    outcome = site.etcd("-y")
    outcome.failed("n3: found no answer", "an unknown host is never taken for an empty one")
    assert not site.pki.exists(), "no authority was made"
    assert not site.hosts[0].exists("/etc/etcd")
