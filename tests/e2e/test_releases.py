"""A fresh cluster of each release line that is maintained, on every kind of host, with what is done to it most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")


@pytest.mark.parametrize("version", ["3.5.34", "3.6.16", "3.7.3"])
@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_a_fresh_cluster_of_every_maintained_line_is_made_read_backed_up_and_drilled(
    fresh: Callable[..., Site], families: tuple[str, ...], version: str
) -> None:
    # The digest of what the mirror has, be it upstream's archive or built here: no other download may be used.
    known = {"etcd_sha256": mirror.digests(version), "etcd_require_digest": True, "etcd_digests": "pinned"}
    site = fresh(families, settings={"etcd_version": version, **known})
    before = [site.footprint(host) for host in site.hosts]
    site.settings["etcd_sha256"] = {"amd64": "0" * 64}
    assert site.etcd("-y").failed("wanted " + "0" * 64).verdicts["Success"] == 0
    assert [site.footprint(host) for host in site.hosts] == before
    site.settings["etcd_sha256"] = known["etcd_sha256"]
    site.etcd("-y").succeeded()
    assert {site.status(host)["version"] for host in site.hosts} == {version}
    assert len(site.cluster_ids()) == 1
    site.etcd("-y").unchanged()
    site.put(site.hosts[0], "kept", version)
    site.run("-y", "deploys/status.py").succeeded()
    site.run("-y", "deploys/backup.py").succeeded()
    outcome = site.run("-y", "deploys/drill.py").succeeded()
    assert "note:" not in outcome.text, "something could not be compared"
    assert {site.get(host, "kept") for host in site.hosts} == {version}
    site.etcd("-y").unchanged()
