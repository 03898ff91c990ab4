"""Certificates that have already ended are made anew on members that run, and nobody is restarted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from etcd_steward.authority import Store
from etcd_steward.certificates import LeafSpec, Role, read_certificate
from etcd_steward.pki import issue
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.long]

FAMILIES = ("alpine", "debian", "centos")
PKI = "/etc/etcd/pki"
ROLES: tuple[Role, ...] = ("server", "peer", "client", "health")
RENEW = "deploys/renew.py"


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(shared: Callable[..., Site]) -> Site:
    return shared(FAMILIES, "ssh")


def let_end(site: Site, hosts: Sequence[Host]) -> None:
    """Give hosts certificates that ended a minute ago, as if nobody had looked after them."""
    ours = Store(site.pki).load()
    assert ours is not None
    for host in hosts:
        for role in ROLES:
            path = f"{PKI}/{role}.pem"
            facts = read_certificate(host.read(path))
            assert facts is not None
            spec = LeafSpec(role, facts.common_name, facts.names, days=0)
            pair = issue(ours.for_role(role), spec, now=datetime.now(UTC) - timedelta(minutes=1))
            host.write(f"{PKI}/{role}-key.pem", pair.key_pem, 0o640 if role in {"server", "peer"} else 0o600)
            host.write(path, pair.certificate_pem)


def member_ids(site: Site) -> dict[str, int]:
    return {host.name: site.status(host)["header"]["member_id"] for host in site.hosts}


def test_f15_a_cluster_whose_certificates_have_all_ended_is_brought_back_by_renewing(site: Site) -> None:
    ids, processes = member_ids(site), site.processes()
    site.put(site.hosts[0], "before", "the end")
    let_end(site, site.hosts)
    site.etcd("-y").refused(
        "found members that run, but whose certificates have ended", "next: run deploys/renew.py"
    )
    site.run("-y", "deploys/status.py").failed("server.pem, expired for 1 days", "next: run deploys/renew.py")
    site.run("-y", RENEW).succeeded()
    assert site.processes() == processes
    assert member_ids(site) == ids
    assert site.get(site.hosts[1], "before") == "the end"
    site.etcd("-y").unchanged()


@pytest.mark.parametrize("number", [1, 2])
def test_f15_members_whose_certificates_have_ended_beside_healthy_ones_are_mended_by_renewing(
    site: Site, number: int
) -> None:
    ids, processes = member_ids(site), site.processes()
    let_end(site, site.hosts[:number])
    site.run("-y", RENEW).succeeded()
    assert (site.processes(), member_ids(site)) == (processes, ids)
    site.etcd("-y").unchanged()
