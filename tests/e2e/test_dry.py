"""A dry run over real hosts: it names the operations that the run then has, and leaves no trace anywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward import verbs
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.long]

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

# What each file and folder is, and when it was changed; of the database that etcd itself writes, only the names.
LISTING = """
cd /; set -- etc opt usr/local var/lib/etcd* var/spool/cron var/tmp root home tmp run/etcd-steward*
find "$@" -xdev -path '*/member/*' ! -name '*.tmp' -print 2>/dev/null
find "$@" -xdev ! -path '*/member/*' ! -path '*/member' -exec stat -c '%n %a %U %G %s %y' {} + 2>/dev/null
find "$@" -xdev ! -path '*/member/*' -type f -exec sha256sum {} + 2>/dev/null
:
"""


def there(host: Host) -> set[str]:
    """List all that lies on a host where a run may write."""
    return set(host.run(LISTING).stdout.splitlines())


def here(site: Site) -> dict[str, str]:
    """Give the digest of all that lies in the operator's folder and in the cache, but for the inventory's own file."""
    places = [site.folder, Path(site.settings["etcd_cache_dir"])]
    files = [path for place in places for path in sorted(place.rglob("*")) if path != site.inventory]
    return {
        f"{path} {path.lstat().st_mtime_ns}": hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in files
        if "__pycache__" not in path.parts and not path.is_relative_to(site.folder / "deploys")
    }


def names(out: str, part: str) -> list[str]:
    told = json.loads(out)
    operations = told["plan"] if part == "plan" else told["results"]["operations"]
    return [operation["name"] for operation in operations]


@pytest.mark.parametrize("families", ["+".join(map(title, FAMILIES))])
def test_each_verb_names_its_operations_beforehand_and_a_dry_run_leaves_no_trace(
    fresh: Callable[..., Site], tmp_path: Path, families: str
) -> None:
    assert {verb for verb, _ in DAYS} == set(verbs.__all__), "give a new verb its day"
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
        dry = site.run("-y", "--dry", "--json", f"deploys/{verb}.py").succeeded()
        after = here(site), {host.name: there(host) for host in site.hosts}
        assert after == before, f"{verb} --dry"
        run = site.run("-y", "--json", f"deploys/{verb}.py").succeeded()
        assert names(run.out, "results") == names(dry.out, "plan"), verb
        changed = [host.name for host in site.hosts if there(host) != before[1][host.name]]
        # A defragmented database is a database as before.
        assert changed or verb in {"status", "maintain"}, "what a run leaves is seen"
        assert here(site) != before[0] or verb != "backup", "what a run leaves here is seen"
