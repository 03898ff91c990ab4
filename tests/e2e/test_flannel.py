"""flannel over three hosts with real etcd; a stand-in takes flanneld's place as a process, and only that."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import seeds
from tests.e2e.foretelling import foretold
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "ubuntu", "centos")
VERSION = "0.28.9"
PREFIX = "/coreos.com/network"
CONFIG = '{"Network":"172.30.0.0/16","SubnetLen":21,"Backend":{"Type":"vxlan"}}'
SYSTEMD = "/etc/systemd/system/flanneld.service"

# It knows no flag but flannel's own, and takes its lease through etcd with the files that it is given.
STAND_IN = r"""#!/bin/sh
[ "$1" != --version ] || { echo stand-in >&2; exit 0; }
for word in "$@"; do
  case $word in
    -etcd-endpoints=*) endpoints=${word#*=} ;;
    -etcd-prefix=*) prefix=${word#*=} ;;
    -etcd-cafile=*) ca=${word#*=} ;;
    -etcd-certfile=*) certificate=${word#*=} ;;
    -etcd-keyfile=*) key=${word#*=} ;;
    -subnet-file=*) file=${word#*=} ;;
    -ip-masq | -iface=*) ;;
    *) echo "flag provided but not defined: $word" >&2; exit 2 ;;
  esac
done
ctl() {
  ETCDCTL_API=3 /opt/etcd/3.5.1/etcdctl --endpoints="$endpoints" --cacert="$ca" --cert="$certificate" --key="$key" "$@"
}
until config=$(ctl get "$prefix/config" --print-value-only) && [ -n "$config" ]; do sleep 1; done
network=$(echo "$config" | sed 's/.*"Network":"\([^"]*\)".*/\1/')
address=$(ip -o -4 addr show eth0 | awk '{ split($4, a, "/"); print a[1] }')
part=${network%.*.*}.$((${address##*.} % 31 * 8 + 8))
lease=$(ctl lease grant 86400 | awk '{ print $2 }')
ctl put "$prefix/subnets/$part.0-21" --lease="$lease" "{\"PublicIP\":\"$address\",\"BackendType\":\"vxlan\"}" || exit 1
mkdir -p "${file%/*}"
printf 'FLANNEL_NETWORK=%s\nFLANNEL_SUBNET=%s.1/21\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n' "$network" "$part" >"$file.new"
mv "$file.new" "$file"
[ -z "$NOTIFY_SOCKET" ] || systemd-notify --ready
exec sleep 1000000
"""
DOCKER_OPTIONS = '#!/bin/sh\n. /run/flannel/subnet.env\necho "$2=\\"--bip=$FLANNEL_SUBNET\\"" >"$4"\n'


@pytest.fixture(scope="module")
def flannel_mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an archive in the layout of flannel's releases."""
    root: Path = tmp_path_factory.mktemp("flannel-mirror")
    folder = root / f"v{VERSION}"
    folder.mkdir()
    archive = folder / f"flannel-v{VERSION}-linux-amd64.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in (("flanneld", STAND_IN), ("mk-docker-opts.sh", DOCKER_OPTIONS)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid = len(text.encode()), 0o755, 1001
            tar.addfile(entry, io.BytesIO(text.encode()))
    (folder / "SHA256SUMS").write_text(f"{mirror.sha256(archive)}  {archive.name}\n")
    with mirror.serve(root) as url:
        yield url


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(shared: Callable[..., Site], flannel_mirror: str) -> Site:
    """Give the three servers of the example inventory, moved onto hosts that are there."""
    settings = {
        "etcd_flannel_mirror": flannel_mirror,
        "etcd_flannel_modules": [],  # a container has none of its own
        "etcd_timeout": 40,
    }
    made = shared(FAMILIES, "ssh", etcd_cluster="flannel", **settings)
    if not any(made.own.values()):
        own = seeds.moved("flannel", made.hosts)
        keys = [key for key in next(iter(own.values())) if key.startswith(("etcd_flannel", "etcd_client"))]
        for host in made.hosts:
            made.own[host.name] = {key: own[host.name][key] for key in keys}
            if host.init == "openrc":
                made.own[host.name]["etcd_flannel_glue"] = "cni"
            else:
                # The stand-in is a script, so what reports that it is ready is not its main process.
                host.write(f"{SYSTEMD}.d/stand-in.conf", "[Service]\nNotifyAccess=all\n")
                host.write("/etc/systemd/system/docker.service", "[Service]\nExecStart=/bin/true -H fd://\n")
    return made


def flannel(site: Site, *flags: str) -> Any:
    return site.run("-y", *flags, "deploys/flannel.py")


def leases(site: Site) -> dict[str, str]:
    """Read etcd's leases: part by the address of the host."""
    told = site.etcdctl(site.hosts[0], "get", f"{PREFIX}/subnets/", "--prefix").splitlines()
    return {
        json.loads(value)["PublicIP"]: key.rpartition("/")[2]
        for key, value in zip(told[::2], told[1::2], strict=True)
    }


def pid(host: Host) -> str:
    return host.run("pidof sleep", check=False).stdout.strip()


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
    assert outcome.text.count("skipped: no device flannel.1 on this host") == 3
    assert {site.get(host, f"{PREFIX}/config") for host in site.hosts} == {CONFIG}
    held = leases(site)
    assert set(held) == {host.address for host in site.hosts}
    for host in site.hosts:
        part = held[host.address].replace(".0-", ".1/")
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
    assert {one["address"]: one["lease"].replace("/", "-") for one in told["hosts"]} == held
    flannel(site).unchanged()
    site.etcd("-y").unchanged()


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
