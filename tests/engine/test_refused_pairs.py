"""Authorities and pairs that etcd would not take are refused by every verb that would bring them to a host."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from etcd_steward.pki import issue
from etcd_steward.verbs import etcd, renew, rotate_ca
from etcd_steward.work import ROLES, leaf_spec
from tests.engine.fakes import World, run_deploy
from tests.engine.test_certificates import LONG_AGO, NOW, own

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from etcd_steward.authority import Authorities


def bring(
    folder: Path,
    world: World,
    authorities: Authorities,
    days: int = 300,
    names: tuple[str, ...] | None = None,
) -> None:
    """Put ready-made pairs for all members into a folder."""
    for member in world.cluster.members:
        place = folder / member.name
        place.mkdir(parents=True, exist_ok=True)
        for role in ROLES:
            spec = leaf_spec(member, role)
            named = spec if names is None else replace(spec, names=names)
            pair = issue(authorities.for_role(role), named, now=NOW - timedelta(days=spec.days - days))
            (place / f"{role}.pem").write_text(pair.certificate_pem)
            (place / f"{role}-key.pem").write_text(pair.key_pem)


@pytest.fixture
def ready_made(tmp_path: Path) -> World:
    return World(tmp_path, now=LONG_AGO, etcd_certificates_dir=str(tmp_path / "ready"))


def test_ready_made_pairs_for_other_addresses_are_refused_before_a_host_is_changed(
    tmp_path: Path, ready_made: World
) -> None:
    assert ready_made.authorities is not None
    bring(tmp_path / "ready", ready_made, ready_made.authorities, names=("localhost", "10.9.9.9"))
    result = run_deploy(ready_made.hosts, renew)
    first = ready_made.cluster.members[0].address
    assert f"server.pem, not for {first}, 127.0.0.1 (it names" in result.refused
    assert f"peer.pem, not for {first} (it names" in result.refused
    assert "127.0.0.1 (it names localhost, 10.9.9.9)" in result.refused
    assert result.only_looked


def test_a_ready_made_pair_that_is_not_valid_yet_is_refused(tmp_path: Path, ready_made: World) -> None:
    assert ready_made.authorities is not None
    bring(tmp_path / "ready", ready_made, ready_made.authorities, days=800)
    result = run_deploy(ready_made.hosts, renew)
    assert "server.pem, not valid before " in result.refused
    assert result.only_looked


@pytest.mark.parametrize("verb", [etcd, rotate_ca])
def test_an_authority_that_may_not_sign_for_a_member_is_refused_before_a_host_is_changed(
    tmp_path: Path, verb: Callable[[], None]
) -> None:
    folder = tmp_path / "own"
    _, data = own(folder)
    limits = x509.NameConstraints([x509.DNSName("example.org")], None)
    for kind in ("ca", "peer-ca"):
        key = serialization.load_pem_private_key((folder / f"{kind}-key.pem").read_bytes(), None)
        name = x509.Name([])
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), 7, LONG_AGO, NOW + timedelta(days=900))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(limits, critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / f"{kind}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    world = World(tmp_path / "controller", formed=verb is rotate_ca, **data)
    result = run_deploy(world.hosts, verb, data={"etcd_clients_ready": True} if verb is rotate_ca else {})
    assert re.search("name constraints that leave out .*localhost", result.refused)
    assert result.only_looked
