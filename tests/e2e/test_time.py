"""Clocks are set, a wrong one is refused, and so are hosts on which etcd could not work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.targets import debian
from tests.targets.common import wait_until
from tests.targets.images import title
from tests.targets.zones import give_time_zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "ubuntu", "centos")
CONFIG = {
    "alpine": "/etc/chrony/chrony.conf",
    "ubuntu": "/etc/chrony/chrony.conf",
    "centos": "/etc/chrony.conf",
}
STATE = {
    "alpine": "rc-service chronyd status >/dev/null && rc-update show default | grep -q chronyd",
    "ubuntu": "systemctl -q is-active chrony && systemctl -q is-enabled chrony",
    "centos": "systemctl -q is-active chronyd && systemctl -q is-enabled chronyd",
}
SWITCH_OFF = {
    "alpine": "rc-service -q chronyd stop; rc-update -q delete chronyd default",
    "ubuntu": "systemctl -q disable --now chrony",
    "centos": "systemctl -q disable --now chronyd",
}


@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_every_system_gets_a_time_daemon_that_is_configured_and_enabled(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    for host in site.hosts:
        give_time_zones(host)
    site.settings |= {"etcd_time_sync": True, "etcd_time_servers": [site.hosts[0].address]}
    site.settings["etcd_timezone"] = "Asia/Shanghai"
    site.etcd("-y").succeeded()
    for host in site.hosts:
        assert host.run(STATE[host.family], check=False).returncode == 0, host.name
        assert f"server {site.hosts[0].address} iburst\n" in host.read(CONFIG[host.family])
        assert host.exists(f"{CONFIG[host.family]}.before-etcd-steward"), "the distribution's own is kept"
        assert host.run("date", "+%Z").stdout == "CST\n"
    site.etcd("-y").unchanged()

    processes = site.processes()
    for host in site.hosts:
        host.run(SWITCH_OFF[host.family])
    site.settings["etcd_time_servers"] = [site.hosts[1].address]
    site.etcd("-y").succeeded()
    for host in site.hosts:
        assert host.run(STATE[host.family], check=False).returncode == 0, host.name
        assert f"server {site.hosts[1].address} iburst\n" in host.read(CONFIG[host.family])
    assert site.processes() == processes, "no member is restarted for a time daemon"
    site.etcd("-y").unchanged()


def set_clock(host: Host, shift: str) -> None:
    """Let every program that is started from now on see another time; those of Go are not deceived."""
    _, suite = debian.archive()
    library = next(debian.unpacked(suite, "libfaketime", "amd64").rglob("libfaketime.so.1"))
    host.write("/usr/local/lib/libfaketime.so.1", library.read_bytes(), 0o755)
    host.write("/etc/faketimerc", f"{shift}\n")
    host.write("/etc/ld.so.preload", "/usr/local/lib/libfaketime.so.1\n")


@pytest.mark.parametrize(
    ("shift", "way"), [("+300s", "ahead of"), pytest.param("-300s", "behind", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("families", [("debian",)], ids=[title("debian")])
def test_a_wrong_clock_is_refused_before_anything_is_signed(
    fresh: Callable[..., Site], families: tuple[str, ...], shift: str, way: str
) -> None:
    site = fresh(families)
    (host,) = site.hosts
    set_clock(host, shift)
    before = site.footprint(host)
    outcome = site.etcd("-y").refused(
        "the controller's, wanted at most 2 s; next: set etcd_time_sync = True, or correct the clock"
    )
    # On a busy machine the answer takes seconds, which count for the host.
    assert re.search(rf"found a clock (300|29\d) s {way}", outcome.text)
    assert not site.pki.exists(), "not even an authority"
    assert site.footprint(host) == before

    # A time daemon is installed where that is wanted, and the clock judged only then: here none can set it.
    site.settings["etcd_time_sync"] = True
    site.etcd("-y").failed(f"s {way} the controller's, wanted at most 2 s")
    assert host.run(STATE["ubuntu"], check=False).returncode == 0
    assert not site.pki.exists(), "nothing was signed"
    assert not host.exists("/etc/etcd")

    host.run("mv /etc/ld.so.preload /root/")
    site.etcd("-y").succeeded()
    assert len(site.cluster_ids()) == 1


@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_all_that_is_missing_for_etcd_is_told_at_once_and_nothing_is_changed(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    mounts = ["type=tmpfs,destination=/srv/etcd,tmpfs-size=100m"]
    site = fresh(families, mounts=mounts)
    site.settings |= {"etcd_data_dir": "/srv/etcd", "etcd_allow_volatile_data": True}
    busy, _, nameless = site.hosts
    nameless_name = "n3.example.org"
    site.own[nameless.name] = {"etcd_address": nameless_name}
    for host in (busy, nameless):
        host.run(f"echo {nameless.address} {nameless_name} >>/etc/hosts")
    busy.run("nc -lk -p 2380 -e true >/dev/null 2>&1 &")
    wait_until("taken port", lambda: ":094C " in busy.read("/proc/net/tcp") + busy.read("/proc/net/tcp6"))
    before = {host.name: site.footprint(host) for host in site.hosts}
    text = (
        site.etcd("-y")
        .refused(
            f"{site.name(busy)}: found port 2380 taken by another program, wanted a free port",
            f"{site.name(site.hosts[1])}: found no address for the name {nameless_name}, wanted one",
            "next: add it to DNS or to /etc/hosts on this host",
            "MB free on /srv/etcd for /srv/etcd, wanted 512 MB; next: free some space",
        )
        .text
    )
    assert text.count("MB free on /srv/etcd") == len(site.hosts), "each host is told"
    assert text.count("taken by another program") == 1
    assert text.count("no address for the name") == 1
    assert {host.name: site.footprint(host) for host in site.hosts} == before
    assert not site.pki.exists()
