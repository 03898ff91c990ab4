"""A dry run of each verb over real hosts: it names the operations that the run then has, and leaves no trace anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward import verbs
from tests.e2e.foretelling import foretold, here, there
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.steward import Site

FAMILIES = ("alpine", "debian", "centos")
OLD, NEW = "3.5.16", "3.5.30"
ID = "its id"

# Verbs in an order in which each has something to do, and what they are told from then on.
DAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("etcd", {}),
    ("etcd", {"etcd_config": {"heartbeat-interval": 200, "election-timeout": 2000}}),
    ("status", {}),
    ("upgrade", {"etcd_version": NEW}),
    ("backup", {}),
    ("drill", {}),
    ("renew", {"etcd_renew_all": True}),
    ("maintain", {"etcd_compact": True, "etcd_compact_keep": 0}),
    ("rotate_ca", {"etcd_clients_ready": True}),
    ("restore", {"etcd_restore_over": ID}),
    ("remove", {"etcd_member": "n3"}),
    ("reset", {"etcd_reset": ID}),
)

# These have hosts of their own, which are made with `foretold` too: tests/e2e/test_{clients,flannel,...}.py.
ELSEWHERE = {"clients", "flannel", "k3s", "kubernetes", "static_pods"}


def test_no_verb_is_without_its_dry_run() -> None:
    assert {verb for verb, _ in DAYS} | ELSEWHERE == {*verbs.__all__}


@pytest.mark.target
@pytest.mark.long
@pytest.mark.parametrize("families", ["+".join(map(title, FAMILIES))])
def test_each_verb_names_its_operations_beforehand_and_a_dry_run_leaves_no_trace(
    fresh: Callable[..., Site], tmp_path: Path, families: str
) -> None:
    # The hosts do nothing by themselves while they are watched: the schedule has its own tests.
    settings = {
        "etcd_version": OLD,
        "etcd_force_version": False,
        "etcd_snapshots": False,
        "etcd_allow_even": True,
        "etcd_cache_dir": str(tmp_path / "cache"),
    }
    site = fresh(FAMILIES, settings=settings)
    mirror.glibc_shim(site.hosts[0])
    for verb, told in DAYS:
        record = site.pki / "cluster.json"
        number = json.loads(record.read_text())["id"] if record.exists() else ""
        site.settings.update({key: number if value is ID else value for key, value in told.items()})
        site.write_inventory()
        before = here(site), {host.name: there(host) for host in site.hosts}
        foretold(site, verb)
        changed = [host.name for host in site.hosts if there(host) != before[1][host.name]]
        # A defragmented database is a database as before.
        assert changed or verb in {"status", "maintain"}, "what a run leaves is seen"
        assert here(site) != before[0] or verb != "backup", "what a run leaves here is seen"
