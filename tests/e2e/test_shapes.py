"""The shapes that clusters have in the field: addresses, folders, authorities and the example inventories."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from etcd_steward.certificates import Authority, LeafSpec, Role, Subject
from etcd_steward.pki import create_authority, issue
from tests.e2e import seeds
from tests.e2e.watching import client_context
from tests.targets import mirror
from tests.targets.images import title
from tests.targets.zones import give_time_zones

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

MIXED = ("alpine", "debian", "centos")


def secret(path: Path, text: str) -> str:
    """Write a file that only its owner reads, and return its path."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


def own_authorities(site: Site) -> dict[Role, Authority]:
    """Make authorities as somebody has them already, and let the settings name their files."""
    made = {}
    for kind in ("ca", "peer_ca"):
        authority = create_authority(
            f"Example {kind}", subject=Subject(organization="Example"), days=90, now=datetime.now(UTC)
        )
        assert authority.key is not None
        key = authority.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        site.settings[f"etcd_{kind}_cert"] = secret(site.folder / "own" / f"{kind}.pem", authority.pem)
        site.settings[f"etcd_{kind}_key"] = secret(site.folder / "own" / f"{kind}-key.pem", key)
        made[kind] = authority
    return {
        "server": made["ca"],
        "client": made["ca"],
        "health": made["ca"],
        "peer": made["peer_ca"],
    }


def believed_as(site: Site, host: Host, name: str) -> bool:
    """Connect to a member as a client that verifies this name."""
    context = client_context(site, host)
    try:
        with (
            _connected(site, host) as plain,
            context.wrap_socket(plain, server_hostname=name) as encrypted,
        ):
            return bool(encrypted.version())
    except ssl.SSLCertVerificationError:
        return False


def _connected(site: Site, host: Host) -> Any:
    address = str(site.own[host.name].get("etcd_address") or host.address)
    return socket.create_connection((address if ":" in address else host.address, 2379), timeout=10)


def healthy(site: Site) -> None:
    """Fail unless all members are one healthy cluster that a write reaches everywhere."""
    assert len(site.cluster_ids()) == 1
    site.put(site.hosts[0], "shape", site.folder.name)
    assert {site.get(host, "shape") for host in site.hosts} == {site.folder.name}
    site.etcd("-y").unchanged()


@pytest.mark.parametrize("families", [MIXED], ids=["+".join(map(title, MIXED))])
def test_ipv6_addresses_own_disks_and_own_authorities(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    mounts = [f"type=tmpfs,destination={folder},tmpfs-size=600m" for folder in ("/srv/etcd", "/ssd/etcd")]
    site = fresh(families, ipv6=True, mounts=mounts)
    site.settings |= {"etcd_data_dir": "/srv/etcd", "etcd_wal_dir": "/ssd/etcd"}
    site.etcd("-y").refused(
        *(f"{site.name(host)}: found etcd_data_dir /srv/etcd on tmpfs" for host in site.hosts)
    )
    site.settings["etcd_allow_volatile_data"] = True
    authorities = own_authorities(site)
    for host in site.hosts:
        site.own[host.name] = {"etcd_address": host.address6}
    site.etcd("-y").succeeded()
    healthy(site)
    for host in site.hosts:
        listed = site.etcdctl(host, "endpoint", "status", "--cluster")
        assert sorted(line.split(",")[0] for line in listed.splitlines()) == sorted(
            f"https://[{other.address6}]:2379" for other in site.hosts
        )
        assert host.run("ls /ssd/etcd/wal").stdout.endswith(".wal\n")
        assert not host.exists("/srv/etcd/member/wal")
        assert host.exists("/srv/etcd/member/snap/db")
        assert host.run("stat", "-c", "%a %U", "/srv/etcd", "/ssd/etcd").stdout == "700 etcd\n700 etcd\n"
        assert host.read("/etc/etcd/pki/ca.pem") == authorities["server"].pem
        assert believed_as(site, host, host.address6)
    assert not list(site.pki.glob("*key*")), "no authority of our own was made"


NAMES = ("Node-A.Example.ORG", "node-b.EXAMPLE.org", "NODE-C.example.org")


@pytest.mark.parametrize("families", [("alpine", "ubuntu", "debian")], ids=["alpine+ubuntu+debian"])
def test_names_with_capital_letters_and_a_name_that_is_added_later(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    told = "".join(f"{host.address} {name}\n" for host, name in zip(site.hosts, NAMES, strict=True))
    for host, name in zip(site.hosts, NAMES, strict=True):
        host.run("cat >>/etc/hosts", input=told)
        site.own[host.name] = {
            "etcd_address": name,
            "etcd_interface": "eth0",
            "etcd_name": name.split(".")[0],
        }
    site.etcd("-y").succeeded()
    healthy(site)
    for host, name in zip(site.hosts, NAMES, strict=True):
        listening = host.run("netstat -ltn 2>/dev/null || ss -ltn").stdout
        assert f"{host.address}:2380" in listening, "on its interface only"
        for known in (name, name.lower(), name.split(".")[0], host.address):
            assert believed_as(site, host, known), known
        assert not believed_as(site, host, "etcd.example.org")

    site.settings["etcd_extra_names"] = ["Etcd.Example.org", "198.18.255.1"]
    before = site.processes()
    outcome = site.etcd("-y").succeeded()
    assert site.processes() == before, "nobody is restarted for a certificate"
    for host, name in zip(site.hosts, NAMES, strict=True):
        assert f"the turn of {name.split('.')[0]}: server certificate (names: found" in outcome.text
        assert believed_as(site, host, "etcd.example.org")
        assert believed_as(site, host, "198.18.255.1")
    site.etcd("-y").unchanged()


@pytest.mark.parametrize("families", [("centos",)], ids=[title("centos")])
def test_the_address_of_an_interface_and_ready_made_certificates(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    (host,) = site.hosts
    site.own[host.name] = {"etcd_address": None, "etcd_interface": "eth0"}
    authorities = own_authorities(site)
    for kind in ("ca", "peer_ca"):
        del site.settings[f"etcd_{kind}_key"]
    site.settings["etcd_certificates_dir"] = "ready"
    site.etcd("-y").refused("found No such file or directory (ready", "correct etcd_certificates_dir")
    ready = {}
    for role, authority in authorities.items():
        names = (
            (host.address, host.name, "localhost", "127.0.0.1", "::1") if role in {"server", "peer"} else ()
        )
        pair = issue(
            authority, LeafSpec(role, f"made by hand for {role}", names, days=30), now=datetime.now(UTC)
        )
        # Whoever makes certificates elsewhere knows nothing of the comment line.
        ready[role] = pair.certificate_pem.partition("\n")[2]
        secret(site.folder / "ready" / host.name / f"{role}.pem", ready[role])
        secret(site.folder / "ready" / host.name / f"{role}-key.pem", pair.key_pem)
    site.etcd("-y").succeeded()
    assert site.etcdctl(host, "member", "list").split(", ")[4] == f"https://{host.address}:2379"
    for role, text in ready.items():
        assert host.read(f"/etc/etcd/pki/{role}.pem").endswith(text)
    site.etcd("-y").unchanged()


def _modes(host: Host, *paths: str) -> list[str]:
    return host.run("stat", "-L", "-c", "%a %U:%G %n", *paths).stdout.splitlines()


def test_the_pis_of_the_example_inventory(fresh: Callable[..., Site]) -> None:
    site = fresh(("alpine",) * 3, "ssh")
    site.own = seeds.moved("pi", site.hosts)
    site.etcd("-y").succeeded()
    healthy(site)
    for host in site.hosts:
        name = site.own[host.name]["etcd_name"]
        assert host.run("id", "-u", "etcd").stdout == "1001\n"
        assert _modes(
            host, f"/etc/etcd/{name}-key.pem", "/etc/etcd/server-key.pem", f"/etc/etcd/{name}.pem"
        ) == [
            f"640 root:etcd /etc/etcd/{name}-key.pem",
            "640 root:etcd /etc/etcd/server-key.pem",
            f"644 root:root /etc/etcd/{name}.pem",
        ]
        assert believed_as(site, host, "etcd.edge.huatai.me")
        assert "chronyd" in host.run("rc-update", "show", "default").stdout
        assert host.run("rc-service", "chronyd", "status").returncode == 0


def test_the_servers_of_the_centos_example_inventory(fresh: Callable[..., Site]) -> None:
    site = fresh(("centos",) * 3, "ssh")
    site.own = seeds.moved("centos", site.hosts)
    site.etcd("-y").succeeded()
    healthy(site)
    for number, host in enumerate(site.hosts, 1):
        base = "/opt/etcd-3.4"
        assert (
            host.run("readlink", "-f", f"{base}/bin/etcd").stdout
            == f"{base}/releases/{mirror.DEFAULT}/etcd\n"
        )
        assert host.exists(f"{base}/data/member/wal")
        assert _modes(host, f"{base}/ssl/etcd-key.pem", f"{base}/data", f"{base}/conf/conf.yml") == [
            f"640 root:etcd {base}/ssl/etcd-key.pem",
            f"700 etcd:etcd {base}/data",
            f"640 root:etcd {base}/conf/conf.yml",
        ]
        assert f"name: etcd0{number}\n" in host.read(f"{base}/conf/conf.yml")
        assert not host.exists("/usr/local/bin/etcd")
        assert not host.exists("/etc/etcd")
        assert host.run("readlink", "/etc/localtime").stdout.endswith("/Asia/Shanghai\n")
        assert f"server {site.hosts[0].address} iburst" in host.read("/etc/chrony.conf")
        assert host.run("systemctl", "is-enabled", "chronyd", "etcd").stdout == "enabled\nenabled\n"


@pytest.mark.long
def test_the_servers_of_the_ubuntu_example_inventory(fresh: Callable[..., Site]) -> None:
    site = fresh(("ubuntu",) * 3, "ssh")
    site.own = seeds.moved("ubuntu", site.hosts)
    site.etcd("-y").succeeded()
    healthy(site)
    for number, host in enumerate(site.hosts, 1):
        assert host.exists("/var/lib/etcd/default.etcd/member/wal")
        assert f"name: etcd-{number}\n" in host.read("/etc/etcd/conf.yml")


STRANGERS_DEPLOY = """
from functools import partial
from pathlib import Path

from etcd_steward import releases, versions
from etcd_steward.operations import account, files, release, time

account.present(name="Make the account", user="keeper", group="keepers", uid=4711)
files.put(
    name="Write two files",
    files=[
        files.FileSpec("/etc/keeper/token", "open sesame\\n", mode="600", owner="keeper:keepers", secret=True),
        files.FileSpec("/etc/motd", "Mind the quorum.\\n"),
    ],
)
release.staged(
    name="Stage etcd",
    version={version!r},
    obtain=partial(
        releases.obtain,
        versions.parse({version!r}),
        "amd64",
        mirror={mirror!r},
        folder=None,
        digest=None,
        digests="mirror",
        cache=Path({cache!r}),
    ),
    prefix="/srv/etcd",
)
time.synchronised(name="Set the clock", timezone="Asia/Shanghai")
"""


@pytest.mark.parametrize("families", [("alpine", "debian", "centos")], ids=["+".join(map(title, MIXED))])
def test_operations_work_alone_in_the_deploys_of_others(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    version = mirror.DEFAULT
    text = STRANGERS_DEPLOY.format(
        version=version, mirror=site.settings["etcd_mirror"], cache=site.settings["etcd_cache_dir"]
    )
    site.write_inventory()
    site.prepare_releases(version)
    (site.folder / "theirs.py").write_text(text)
    site.settings = {}
    site.own = {host.name: {"etcd_name": None, "etcd_address": None} for host in site.hosts}
    for host in site.hosts:
        give_time_zones(host)
    outcome = site.run("-y", "--diff", "-vvv", "theirs.py").succeeded()
    assert "open sesame" not in outcome.text
    for host in site.hosts:
        assert host.run("id", "-u", "keeper").stdout == "4711\n"
        assert host.read("/etc/keeper/token") == "open sesame\n"
        assert _modes(host, "/etc/keeper/token", "/etc/motd") == [
            "600 keeper:keepers /etc/keeper/token",
            "644 root:root /etc/motd",
        ]
        assert f"etcd Version: {version}" in host.run(f"/srv/etcd/{version}/etcd", "--version").stdout
        assert not host.exists("/usr/local/bin/etcd")
    again = site.run("-y", "theirs.py").succeeded()
    assert set(again.verdicts) == {"No changes"}, again.text
