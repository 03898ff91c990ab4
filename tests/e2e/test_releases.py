"""A fresh cluster of each release line that is maintained, on every kind of host, with what is done to it most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    site = fresh(families, settings={"etcd_version": version})
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
