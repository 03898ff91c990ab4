"""k3s servers on the hosts of their members: real etcd, real certificates, real init systems, and a stand-in for k3s' process.

No k3s is to be had where these tests run. The stand-in reads config.yaml and keeps a key in etcd as k3s does.
"""

from __future__ import annotations

import hashlib
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import yaml

from etcd_steward.certificates import LeafSpec, Subject
from etcd_steward.k3s import storage_key
from etcd_steward.pki import create_authority, issue
from tests.e2e.conftest import make_site
from tests.e2e.foretelling import foretold
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
RELEASE = "v1.34.2+k3s1"
CONFIG = "/etc/rancher/k3s/config.yaml"
BUNDLE = "/etc/rancher/k3s/etcd"
LINE = "console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 quiet\n"
STAND_IN = r"""#!/bin/sh
# Stands in for k3s: reads its configuration, keeps a key in etcd, says that it is ready, and stays.
alive=/run/k3s.stand-in
case $1 in
  --version) echo "k3s version v1.34.2+k3s1 (a stand-in)" ;;
  kubectl) [ -f "$alive" ] && kill -0 "$(cat "$alive")" 2>/dev/null ;;
  server)
    of() { sed -n "s/^$1: \"\(.*\)\"$/\1/p" /etc/rancher/k3s/config.yaml; }
    key=/bootstrap/$(printf %s "$(of token)" | sha256sum | cut -c 1-12)
    ETCDCTL_API=3 /usr/local/bin/etcdctl --endpoints="$(of datastore-endpoint)" --cacert="$(of datastore-cafile)" \
      --cert="$(of datastore-certfile)" --key="$(of datastore-keyfile)" put "$key" "$(cat /proc/sys/kernel/hostname)" || exit 1
    echo $$ >"$alive"
    [ -z "$NOTIFY_SOCKET" ] || systemd-notify --ready
    exec sleep 100000
    ;;
esac
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Publish the stand-in in GitHub's layout."""
    root = tmp_path_factory.mktemp("k3s")
    (root / RELEASE).mkdir()
    (root / RELEASE / "k3s").write_text(STAND_IN)
    digest = hashlib.sha256(STAND_IN.encode()).hexdigest()
    (root / RELEASE / "sha256sum-amd64.txt").write_text(f"{'0' * 64}  k3s-images.txt\n{digest}  k3s\n")
    with mirror.serve(root) as url:
        yield url


@pytest.fixture(scope="module")
def made(
    docker_answers: None,
    mirror_url: str,
    published: str,
    cache: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Give three members whose hosts shall be k3s servers too; one of them looks like a Raspberry Pi."""
    settings = {
        "etcd_client_of": "etcd",
        "etcd_k3s_group": "etcd",
        "etcd_k3s_version": RELEASE,
        "etcd_k3s_mirror": published,
        "etcd_k3s_tls_san": ["k3s.example.org"],
        "etcd_k3s_config": {"disable": ["traefik"]},
        "etcd_k3s_timeout": 60,
    }
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("k3s-servers")
        site = make_site(stack, FAMILIES, "ssh", mirror_url, cache, folder, {"settings": settings})
        for host in site.hosts:
            # A shell cannot notify systemd itself, as k3s does.
            host.write("/etc/systemd/system/k3s.service.d/stand-in.conf", "[Service]\nNotifyAccess=all\n")
        site.hosts[0].write("/boot/cmdline.txt", LINE)
        site.etcd("-y").succeeded()
        yield site


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(made: Site) -> Site:
    targets.SEEN.update(FAMILIES)
    return made


def k3s(site: Site, *flags: str):
    return site.run("-y", *flags, "deploys/k3s.py")


def served(site: Site) -> None:
    """Have the servers, where no earlier test has made them."""
    if not all(map(stand_in, site.hosts)):
        k3s(site).succeeded()


def config(host: Host) -> dict[str, object]:
    return yaml.safe_load(host.read(CONFIG))


def asked(
    site: Site, host: Host, certificate: str, key: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run etcdctl on a server with a pair that lies there."""
    files = f"--cacert={BUNDLE}/ca.crt --cert={certificate} --key={key}"
    endpoints = str(config(host)["datastore-endpoint"])
    tool = f"/opt/etcd/{site.settings['etcd_version']}/etcdctl"
    return host.run(
        f"ETCDCTL_API=3 {tool} --endpoints={endpoints} {files} --dial-timeout=2s --command-timeout=3s {' '.join(words)}",
        check=False,
    )


def stand_in(host: Host) -> str:
    return host.run("cat /run/k3s.stand-in", check=False).stdout


def test_a_cluster_with_keys_of_another_kubernetes_gets_no_k3s(site: Site) -> None:
    first = site.hosts[0]
    site.put(first, "/registry/namespaces/default", "x")
    k3s(site).refused("etcd: found keys of another Kubernetes (/registry, without k3s' own /bootstrap)")
    assert not any(host.exists(BUNDLE) for host in site.hosts)
    site.etcdctl(first, "del", "/registry/namespaces/default")


def test_members_become_k3s_servers_and_the_second_run_changes_nothing(site: Site) -> None:
    members = site.processes()
    outcome = foretold(site, "k3s", "-vvv", "--debug", "--diff")
    token = (site.pki / "k3s-token").read_text().strip()
    assert len(token) == 64
    assert token not in outcome.text
    assert "PRIVATE KEY" not in outcome.text
    for host in site.hosts:
        assert config(host) == {
            "datastore-endpoint": ",".join(f"https://{one.address}:2379" for one in site.hosts),
            "datastore-cafile": f"{BUNDLE}/ca.crt",
            "datastore-certfile": f"{BUNDLE}/client.crt",
            "datastore-keyfile": f"{BUNDLE}/client.key",
            "token": token,
            "tls-san": ["k3s.example.org"],
            "node-ip": host.address,
            "disable": ["traefik"],
        }
        modes = host.run(f"stat -c '%a %U:%G %n' {CONFIG} {BUNDLE}/client.key").stdout.splitlines()
        assert modes == [f"600 root:root {CONFIG}", f"600 root:root {BUNDLE}/client.key"]
        assert host.run("readlink /usr/local/bin/k3s").stdout == f"/opt/k3s/{RELEASE}/k3s\n"
        assert stand_in(host)
        enabled = {"openrc": "test -e /etc/runlevels/default/k3s", "systemd": "systemctl is-enabled -q k3s"}
        host.run(enabled[host.init])
    # Each put its name there when it started.
    assert site.get(site.hosts[0], storage_key(token)) == site.hosts[-1].name
    assert site.processes() == members
    before = list(map(stand_in, site.hosts))
    k3s(site).unchanged()
    assert list(map(stand_in, site.hosts)) == before
    site.etcd("-y").unchanged()


def test_the_bundle_is_enough_for_every_endpoint_and_no_other_pair_is(site: Site, tmp_path: Path) -> None:
    served(site)
    host = site.hosts[1]
    own = asked(site, host, f"{BUNDLE}/client.crt", f"{BUNDLE}/client.key", "endpoint", "health")
    assert (own.stdout + own.stderr).count("is healthy") == len(site.hosts)
    authority = create_authority("a stranger", subject=Subject(), days=9, now=datetime.now(UTC))
    pair = issue(authority, LeafSpec("client", "k3s", subject=Subject(), days=9), now=datetime.now(UTC))
    host.write("/root/wrong.crt", pair.certificate_pem)
    host.write("/root/wrong.key", pair.key_pem, 0o600)
    wrong = asked(site, host, "/root/wrong.crt", "/root/wrong.key", "get", "x")
    assert wrong.returncode != 0
    # A server that shows the stranger's pair is given its own again, before k3s is looked at.
    host.run(f"cp /root/wrong.crt {BUNDLE}/client.crt; cp /root/wrong.key {BUNDLE}/client.key")
    pid = stand_in(host)
    outcome = k3s(site).succeeded()
    assert "a new certificate for k3s" in outcome.text
    assert asked(site, host, f"{BUNDLE}/client.crt", f"{BUNDLE}/client.key", "get", "x").returncode == 0
    assert stand_in(host) == pid, "etcd's client reads its pair again for each connection"


def test_a_pi_has_its_cgroups_on_the_one_line_and_the_line_as_it_was_beside_it(site: Site) -> None:
    pi = site.hosts[0]
    served(site)
    assert (
        pi.read("/boot/cmdline.txt")
        == f"{LINE.strip()} cgroup_enable=cpuset cgroup_memory=1 cgroup_enable=memory\n"
    )
    assert pi.read("/boot/cmdline.txt.before-etcd-steward") == LINE


def test_another_token_is_refused_before_any_change(site: Site) -> None:
    served(site)
    told = k3s(site, "--data=etcd_k3s_token=a-token-of-nobody").refused(
        "found a k3s with another token in this cluster"
    )
    assert "a-token-of-nobody" not in told.text


def test_a_changed_setting_restarts_every_server_and_an_ended_one_is_started_again(site: Site) -> None:
    served(site)
    before = list(map(stand_in, site.hosts))
    site.settings["etcd_k3s_config"] = {"disable": ["traefik", "servicelb"]}
    k3s(site).succeeded()
    running = list(map(stand_in, site.hosts))
    assert not set(before) & set(running)
    for host, pid in zip(site.hosts, running, strict=True):
        host.run(f"kill {pid}")
    for host, pid in zip(site.hosts, running, strict=True):
        wait_until(f"another k3s on {host.name}", lambda host=host, pid=pid: stand_in(host) != pid, 30)
    k3s(site).succeeded()


def test_systemd_takes_the_unit_as_it_is(site: Site) -> None:
    served(site)
    host = next(host for host in site.hosts if host.init == "systemd")
    told = host.run("systemd-analyze", "verify", "/etc/systemd/system/k3s.service", check=False)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
