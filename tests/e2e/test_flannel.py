"""flannel over three hosts with real etcd and flannel's own packages: its store, its leases, its vxlan device.

flannel's own program cannot be built from Go modules alone; a program of ours on its packages takes its flags and its
part (tests/programs/flannel). Rules of iptables are its own program's alone.
"""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import ExitStack
from ipaddress import IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import seeds
from tests.e2e.conftest import make_site
from tests.e2e.foretelling import foretold
from tests.targets import hosts as targets
from tests.targets import mirror, programs
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "ubuntu", "centos")
VERSION = programs.module("flannel").version
PREFIX = "/coreos.com/network"
CONFIG = '{"Network":"172.30.0.0/16","SubnetLen":21,"Backend":{"Type":"vxlan"}}'

DEVICE = "flannel.1"
# Only with it may a container make a device.
NET_ADMIN = ["--cap-add", "NET_ADMIN"]
# The proof asks for an echo, as docs/flannel.md says.
PING = "command -v ping || apt-get -q install -y iputils-ping || dnf -q -y install iputils"


@pytest.fixture(scope="module")
def flannel_mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an archive in the layout of flannel's releases."""
    root: Path = tmp_path_factory.mktemp("flannel-mirror")
    folder = root / f"v{VERSION}"
    folder.mkdir()
    archive = folder / f"flannel-v{VERSION}-linux-amd64.tar.gz"
    scripts = programs.source("flannel", "github.com/flannel-io/flannel") / "dist"
    packed = (programs.built("flannel", "flanneld"), scripts / "mk-docker-opts.sh")
    with tarfile.open(archive, "w:gz") as tar:
        for path in packed:
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode, entry.uid = path.stat().st_size, 0o755, 1001
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    (folder / "SHA256SUMS").write_text(f"{mirror.sha256(archive)}  {archive.name}\n")
    with mirror.serve(root) as url:
        yield url


@pytest.fixture(scope="module")
def made(
    docker_answers: None,
    mirror_url: str,
    cache: str,
    flannel_mirror: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Give the three servers of the example inventory, moved onto hosts that are there and may make devices."""
    settings = {
        "etcd_cluster": "flannel",
        "etcd_flannel_mirror": flannel_mirror,
        "etcd_flannel_version": VERSION,
        "etcd_flannel_modules": [],  # a container has none of its own
        "etcd_timeout": 40,
    }
    with ExitStack() as stack:
        more = {"settings": settings, "extra_args": NET_ADMIN}
        folder = tmp_path_factory.mktemp("flannel")
        site = make_site(stack, FAMILIES, "ssh", mirror_url, cache, folder, more)
        own = seeds.moved("flannel", site.hosts)
        keys = [key for key in next(iter(own.values())) if key.startswith(("etcd_flannel", "etcd_client"))]
        for host in site.hosts:
            host.run(PING)
            data = {key: own[host.name][key] for key in keys}
            site.own[host.name] = {key: value for key, value in data.items() if key not in settings}
            if host.init == "openrc":
                site.own[host.name]["etcd_flannel_glue"] = "cni"
            else:
                host.write("/etc/systemd/system/docker.service", "[Service]\nExecStart=/bin/true -H fd://\n")
        site.etcd("-y").succeeded()
        site.lab.uses({f"flannel {VERSION}": "Go modules, its packages"})
        yield site


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(made: Site) -> Site:
    targets.SEEN.update(FAMILIES)
    return made


def flannel(site: Site, *flags: str) -> Any:
    return site.run("-y", *flags, "deploys/flannel.py")


def leases(site: Site) -> dict[str, dict[str, Any]]:
    """Read etcd's leases as flannel wrote them, each with its part, by the address of the host."""
    told = site.etcdctl(site.hosts[0], "get", f"{PREFIX}/subnets/", "--prefix").splitlines()
    found = {
        key.rpartition("/")[2]: json.loads(value) for key, value in zip(told[::2], told[1::2], strict=True)
    }
    return {value["PublicIP"]: {**value, "part": part} for part, value in found.items()}


def routed(host: Host) -> set[str]:
    """Name the parts of the network to which a host's device leads."""
    return {line.split()[0] for line in host.run("ip", "route", "show", "dev", DEVICE).stdout.splitlines()}


def pid(host: Host) -> str:
    return host.run("pidof flanneld", check=False).stdout.strip()


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("etcd_flannel_version=0.10.0", "which speaks etcd's API v2 alone (flannel speaks v3 since 0.18.0"),
        ("etcd_flannel_network=198.18.0.0/15", "its own address 198.18."),
        ("etcd_flannel_subnet_len=17", "wanted 18 to 30, as flannel wants room for four hosts at least"),
    ],
)
def test_f45_what_cannot_work_is_refused_before_any_host_is_changed(
    site: Site, flag: str, sentence: str
) -> None:
    before = {host.name: site.footprint(host) for host in site.hosts}
    flannel(site, f"--data={flag}").refused(sentence)
    assert {host.name: site.footprint(host) for host in site.hosts} == before


def test_f45_the_key_is_in_etcd_every_host_holds_a_lease_and_the_second_run_changes_nothing(
    site: Site,
) -> None:
    processes = site.processes()
    outcome = foretold(site, "flannel", "--diff", "-vvv")
    assert "PRIVATE KEY" not in outcome.text
    assert outcome.text.count("and 2 others answer over flannel") == 3
    assert {site.get(host, f"{PREFIX}/config") for host in site.hosts} == {CONFIG}
    held = leases(site)
    assert set(held) == {host.address for host in site.hosts}
    for host in site.hosts:
        part = held[host.address]["part"].replace(".0-", ".1/")
        assert f"FLANNEL_SUBNET={part}\n" in host.read("/run/flannel/subnet.env")
        assert host.read("/etc/sysctl.d/90-flannel.conf").endswith("\nnet.ipv4.ip_forward = 1\n")
        assert (
            host.run("readlink", "-f", "/opt/k8s/bin/flanneld").stdout == f"/opt/flannel/{VERSION}/flanneld\n"
        )
        assert host.run("stat", "-c", "%a %U %n", "/etc/flanneld/cert/flanneld-key.pem").stdout.startswith(
            "600 root "
        )
        assert host.run("stat", "-c", "%a %U", f"/opt/flannel/{VERSION}/flanneld").stdout == "755 root\n"
    assert site.processes() == processes, "no member is restarted"
    told = json.loads(site.run("-y", "--data=etcd_output=json", "deploys/status.py").succeeded().out)[
        "flannel"
    ]
    parts = {address: lease["part"] for address, lease in held.items()}
    assert {one["address"]: one["lease"].replace("/", "-") for one in told["hosts"]} == parts
    flannel(site).unchanged()
    site.etcd("-y").unchanged()


def test_the_device_of_each_host_is_flannel_s_own_and_no_two_parts_of_the_network_overlap(site: Site) -> None:
    flannel(site).succeeded()
    held = leases(site)
    networks = [IPv4Network(lease["part"].replace("-", "/")) for lease in held.values()]
    assert not [(one, other) for one, other in combinations(networks, 2) if one.overlaps(other)]
    assert all(one.subnet_of(IPv4Network("172.30.0.0/16")) for one in networks)
    for host in site.hosts:
        lease = held[host.address]
        assert (lease["BackendType"], lease["BackendData"]["VNI"]) == ("vxlan", 1)
        assert host.read(f"/sys/class/net/{DEVICE}/address").strip() == lease["BackendData"]["VtepMAC"]
        own = lease["part"].partition("-")[0]
        assert f" {own}/32 " in host.run("ip", "-o", "-4", "addr", "show", DEVICE).stdout
        others = {other["part"].replace("-", "/") for other in held.values() if other is not lease}
        assert others <= routed(host), "flannel leads to every other host's part"


def test_the_services_are_what_their_init_systems_accept_and_start_at_boot(site: Site) -> None:
    flannel(site).succeeded()
    for host in site.hosts:
        if host.init == "openrc":
            assert "flanneld" in host.run("rc-update", "show", "default").stdout
            assert host.run("rc-service", "flanneld", "status").returncode == 0
            assert (
                json.loads(host.read("/etc/cni/net.d/10-flannel.conflist"))["plugins"][0]["type"] == "flannel"
            )
            continue
        for unit in ("flanneld.service", "docker.service"):
            done = host.run("systemd-analyze", "verify", unit, check=False)
            assert (done.returncode, done.stderr) == (0, ""), unit
        assert host.run("systemctl", "is-enabled", "flanneld").stdout == "enabled\n"
        assert host.run("systemctl", "show", "flanneld", "-p", "Type", "-p", "Restart").stdout.split() == [
            "Type=notify",
            "Restart=always",
        ]
        assert "DOCKER_NETWORK_OPTIONS=" in host.read("/run/flannel/docker")
        assert (
            "EnvironmentFile=/run/flannel/docker\n" in host.run("systemctl", "cat", "docker.service").stdout
        )


def test_a_flanneld_that_does_not_run_is_started_and_one_with_other_flags_is_started_anew(site: Site) -> None:
    flannel(site).succeeded()
    first, *others = site.hosts
    first.run("rc-service flanneld stop")
    before = {host.name: pid(host) for host in others}
    flannel(site).succeeded()
    assert pid(first)
    assert {host.name: pid(host) for host in others} == before
    last = site.hosts[-1]
    site.own[last.name]["etcd_flannel_ip_masq"] = False
    try:
        flannel(site).succeeded()
        assert pid(last) != before[last.name]
        assert "-ip-masq" not in last.run("systemctl", "cat", "flanneld").stdout
    finally:
        del site.own[last.name]["etcd_flannel_ip_masq"]
    flannel(site).succeeded()
    flannel(site).unchanged()


def test_flannel_s_watch_outlives_a_restart_of_every_member(site: Site) -> None:
    flannel(site).succeeded()
    before = {host.name: pid(host) for host in site.hosts}
    site.settings["etcd_config"] = {"heartbeat-interval": 105}
    site.etcd("-y").succeeded()
    taken = {lease["part"] for lease in leases(site).values()}
    part = next(part for part in (f"172.30.{third}.0-21" for third in range(8, 256, 8)) if part not in taken)
    stranger = {
        "PublicIP": f"{site.hosts[0].address.rpartition('.')[0]}.99",
        "BackendType": "vxlan",
        "BackendData": {"VNI": 1, "VtepMAC": "12:34:56:78:9a:bc"},
    }
    network, key = part.replace("-", "/"), f"{PREFIX}/subnets/{part}"
    site.put(site.hosts[0], key, json.dumps(stranger))
    for host in site.hosts:
        wait_until(f"{host.name} knows the new part", lambda host=host: network in routed(host), 30)
    site.etcdctl(site.hosts[0], "del", key)
    for host in site.hosts:
        wait_until(f"{host.name} forgets it", lambda host=host: network not in routed(host), 30)
    assert {host.name: pid(host) for host in site.hosts} == before


def test_a_new_certificate_is_used_at_once_as_flannel_reads_it_only_at_its_start(site: Site) -> None:
    flannel(site).succeeded()
    renewed, *others = site.hosts
    before = {host.name: pid(host) for host in site.hosts}
    renewed.run("rm /etc/flanneld/cert/flanneld.pem")
    flannel(site).succeeded()
    assert pid(renewed)
    assert pid(renewed) != before[renewed.name]
    assert {host.name: pid(host) for host in others} == {host.name: before[host.name] for host in others}
    flannel(site).unchanged()


def test_another_configuration_stays_unless_its_end_is_consented_to(site: Site) -> None:
    flannel(site).succeeded()
    other = CONFIG.replace("172.30", "172.29")
    site.put(site.hosts[0], f"{PREFIX}/config", other)
    before = {host.name: pid(host) for host in site.hosts}
    flannel(site).refused(
        'Network "172.29.0.0/16", wanted "172.30.0.0/16"), under which 3 hosts hold a lease',
        "etcd_flannel_overwrite = True",
    )
    assert site.get(site.hosts[0], f"{PREFIX}/config") == other
    flannel(site, "--data=etcd_flannel_overwrite=true").succeeded()
    assert site.get(site.hosts[0], f"{PREFIX}/config") == CONFIG
    assert not {host.name for host in site.hosts if pid(host) == before[host.name]}, (
        "each may have read the other"
    )
    flannel(site).unchanged()
