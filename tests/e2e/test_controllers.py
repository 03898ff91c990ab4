"""A second controller, which lacks the folder with the authorities' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.steward import Site
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
ROLES = ("ca", "peer-ca", "server", "peer", "client", "health")


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def second(shared: Callable[..., Site], tmp_path: Path, mirror_url: str) -> Site:
    first = shared(FAMILIES, "ssh")
    elsewhere = Site(first.lab, first.hosts, mirror_url, tmp_path / "laptop", "ssh", dict(first.settings))
    elsewhere.own = {name: dict(own) for name, own in first.own.items()}
    return elsewhere


def certificates(site: Site) -> dict[tuple[str, str], str]:
    return {
        (host.name, role): host.read(f"/etc/etcd/pki/{role}.pem") for host in site.hosts for role in ROLES
    }


def test_a_controller_without_the_folder_sees_the_status_and_reissues_nothing(second: Site) -> None:
    before = certificates(second)
    second.run("-y", "deploys/status.py").succeeded()
    second.etcd("-y").unchanged()
    assert certificates(second) == before
    assert not (second.folder / "pki").exists(), "no authority was made"


def test_signing_is_refused_with_the_fingerprint_of_the_authority_that_is_needed(second: Site) -> None:
    before, processes = certificates(second), second.processes()
    second.own["n1"]["etcd_extra_names"] = ["etcd.example.org"]
    second.etcd("-y").refused("certificates to be made", "no authority in pki/etcd", "SHA-256")
    assert certificates(second) == before
    assert second.processes() == processes
    assert not (second.folder / "pki").exists(), "no authority was made"
