"""A power cut: all hosts at once, and back without anybody's help."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")


@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_after_a_power_cut_the_cluster_is_back_within_a_minute_with_every_acknowledged_key(
    shared: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = shared(families, "ssh")
    before = site.cluster_ids()
    for number in range(20):
        site.put(site.hosts[number % 3], "power/last", str(number))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: host.kill(), site.hosts))
        list(pool.map(lambda host: host.start(), site.hosts))

    def all_healthy() -> bool:
        return all(
            "is healthy" in site.etcdctl(host, "endpoint", "health", check=False) for host in site.hosts
        )

    wait_until("healthy cluster", all_healthy, 60)
    assert site.cluster_ids() == before
    assert [site.get(host, "power/last") for host in site.hosts] == ["19", "19", "19"]
    site.etcd("-y").unchanged()
