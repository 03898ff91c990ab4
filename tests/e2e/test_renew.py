"""Certificates are made anew under a client that connects all the time, and nobody is restarted."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests.e2e.watching import client_context
from tests.e2e.writer import Writer
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
ROLES = ("server", "peer", "client", "health")
RECONNECT = 0.2


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(shared: Callable[..., Site]) -> Site:
    return shared(FAMILIES, "ssh")


def serials(site: Site) -> dict[tuple[str, str], int]:
    """Read the serial number of every certificate that a host has."""
    return {
        (host.name, role): x509.load_pem_x509_certificate(
            host.read(f"/etc/etcd/pki/{role}.pem").encode()
        ).serial_number
        for host in site.hosts
        for role in ROLES
    }


def test_every_certificate_is_made_anew_without_a_restart_or_a_failed_handshake(site: Site) -> None:
    before, processes = serials(site), site.processes()
    with Writer(site, reconnect=RECONNECT) as writer:
        site.run("-y", "--data=etcd_renew_all=true", "deploys/renew.py").succeeded()
    report = writer.report.served().told("renew.py of all certificates")
    assert (report.failed, report.tls_failures) == (0, 0), report.reasons
    after = serials(site)
    assert not set(before.values()) & set(after.values()), "each has a new serial number"
    assert site.processes() == processes
    site.etcd("-y").unchanged()


def test_certificates_far_from_their_end_are_left_alone(site: Site) -> None:
    before = serials(site)
    site.run("-y", "deploys/renew.py").unchanged()
    assert serials(site) == before


def test_every_member_shows_its_new_certificate_to_the_next_client(site: Site) -> None:
    site.run("-y", "--data=etcd_renew_all=true", "deploys/renew.py").succeeded()
    context = client_context(site, site.hosts[0])
    for host in site.hosts:
        with (
            socket.create_connection((host.address, 2379), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host.address) as encrypted,
        ):
            shown = encrypted.getpeercert(binary_form=True)
        assert shown
        assert x509.load_der_x509_certificate(shown).serial_number == serials(site)[host.name, "server"]


@pytest.mark.long
def test_a_member_that_goes_on_showing_its_old_certificate_is_told_and_fails_the_run(site: Site) -> None:
    stuck = site.hosts[0]
    config, kept = stuck.read("/etc/etcd/conf.yml"), "/etc/etcd/kept"
    stuck.run(f"cp -a /etc/etcd/pki {kept}")
    try:
        stuck.write("/etc/etcd/conf.yml", config.replace("/etc/etcd/pki/server", f"{kept}/server"), 0o640)
        stuck.run("rc-service etcd restart")
        wait_until(
            "restarted member",
            lambda: "is healthy" in site.etcdctl(stuck, "endpoint", "health", check=False),
            60,
        )
        before = serials(site)
        site.run("-y", "--data=etcd_renew_all=true", "deploys/renew.py").failed(
            f"found {stuck.name} showing another certificate than /etc/etcd/pki/server.pem",
            "next: its etcd was started with other files than the settings say: run deploys/etcd.py",
        )
        now = serials(site)
        changed = [
            host.name for host in site.hosts if now[host.name, "server"] != before[host.name, "server"]
        ]
        assert stuck.name in changed
    finally:
        site.etcd("-y").succeeded()
        stuck.run(f"rm -r {kept}")
    site.run("-y", "--data=etcd_renew_all=true", "deploys/renew.py").succeeded()
