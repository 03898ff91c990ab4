"""What is refused before there is a cluster: no host is changed, and what was wrong is told in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("ubuntu", "alpine", "centos")
TITLES = ["+".join(map(title, FAMILIES))]
FOREIGN = {"systemd": "/etc/systemd/system/etcd.service", "openrc": "/etc/init.d/etcd"}
EVERYTHING = "find /etc /opt /var/lib/etcd /usr/local -newer /root/before 2>/dev/null; id etcd 2>/dev/null"


@pytest.fixture
def site(fresh: Callable[..., Site]) -> Site:
    site = fresh(FAMILIES, "ssh")
    for host in site.hosts:
        host.run("touch /root/before")
    return site


def assert_untouched(site: Site) -> None:
    for host in site.hosts:
        assert host.run(EVERYTHING, check=False).stdout == "", host.name
    assert not site.pki.exists(), "no authority was made"


@pytest.mark.parametrize("families", [FAMILIES], ids=TITLES)
def test_f41_wrong_settings_are_all_told_at_once_and_change_nothing(
    site: Site, families: tuple[str, ...]
) -> None:
    site.own["n1"] = {"etcd_adress": "198.18.0.1"}
    site.own["n3"] = {"etcd_client_port": "many"}
    site.etcd("-y").refused("n1: found an unknown setting etcd_adress", "write etcd_address", "n3: found")
    site.own = {"n1": {}, "n2": {}, "n3": {}}
    site.hosts.append(site.hosts.pop(0))
    gone = site.hosts.pop()
    site.etcd("-y").refused("found 2 members", "an odd number", "etcd_allow_even")
    site.hosts.append(gone)
    for option, sentence in {
        "--serial": "found --serial",
        "--no-wait": "found --no-wait",
        "--limit=n1": "found --limit or --exclude",
    }.items():
        site.etcd("-y", option).refused(sentence, "to make a cluster")
    assert_untouched(site)


@pytest.mark.parametrize("families", [FAMILIES], ids=TITLES)
def test_another_etcds_service_or_port_is_refused_until_it_is_gone(
    site: Site, families: tuple[str, ...]
) -> None:
    for host in site.hosts:
        host.write(FOREIGN[host.init], "#!/sbin/openrc-run\n# of another package\n", 0o755)
        host.run(f"touch -d @0 {FOREIGN[host.init]}; touch /root/before")
    outcome = site.etcd("-y").refused()
    for host in site.hosts:
        outcome.failed(f"{host.name}: found a service definition that is not ours ({FOREIGN[host.init]})")
        host.run(f"rm {FOREIGN[host.init]}; touch /root/before")
    assert_untouched(site)
    alpine = site.hosts[1]
    pid = alpine.run("nc -lk -p 2380 -e true >/dev/null 2>&1 & echo $!").stdout.strip()
    wait_until("listener", lambda: ":094C " in alpine.run("cat /proc/net/tcp /proc/net/tcp6").stdout)
    site.etcd("-y").refused("n2: found port 2380 taken by another program")
    assert_untouched(site)
    alpine.run("kill", pid)
    site.etcd("-y").succeeded()


@pytest.mark.parametrize("family", ["ubuntu", "centos"], ids=title)
def test_f02_systemd_does_not_start_a_formed_member_without_its_data(
    fresh: Callable[..., Site], family: str
) -> None:
    site = fresh((family,), "docker")
    site.etcd("-y").succeeded()
    (host,) = site.hosts
    host.run("systemctl stop etcd && mv /var/lib/etcd/member /root/disk")
    assert host.run("systemctl start etcd", check=False).returncode != 0
    assert (
        "holds no write-ahead log, but this member has had one"
        in host.run("journalctl -u etcd -o cat").stdout
    )
    assert not host.exists("/var/lib/etcd/member")
    host.run("systemctl stop etcd; mv /root/disk /var/lib/etcd/member")
    site.etcd("-y").succeeded()
