"""A run, and the dry run before it: that names the operations which the run then has, and leaves no trace anywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

# What each file and folder is, and when it was changed; of the database that etcd itself writes, only the names.
_LISTING = """
cd /; set -- etc opt usr/local var/lib/etcd* var/spool/cron var/tmp root home tmp run/etcd-steward*
find "$@" -xdev -path '*/member/*' ! -name '*.tmp' -print 2>/dev/null
find "$@" -xdev ! -path '*/member/*' ! -path '*/member' -exec stat -c '%n %a %U %G %s %y' {} + 2>/dev/null
find "$@" -xdev ! -path '*/member/*' -type f -exec sha256sum {} + 2>/dev/null
:
"""


def there(host: Host) -> set[str]:
    """List all that lies on a host where a run may write."""
    return set(host.run(_LISTING).stdout.splitlines())


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


def foretold(site: Site, verb: str, *flags: str) -> Outcome:
    """Run a verb dry and then for real, and fail unless the dry run told the truth and left no trace.

    Args:
        site: where.
        verb: its file in `deploys`, without `.py`.
        flags: further options of the real run.

    Returns:
        How the real run ended, which was well.
    """
    site.write_inventory()
    before = here(site), {host.name: there(host) for host in site.everyone}
    dry = site.run("-y", "--dry", "--json", f"deploys/{verb}.py").succeeded()
    after = here(site), {host.name: there(host) for host in site.everyone}
    assert after == before, f"{verb} --dry"
    run = site.run("-y", "--json", *flags, f"deploys/{verb}.py").succeeded()
    planned = [operation["name"] for operation in json.loads(dry.out)["plan"]]
    assert [operation["name"] for operation in json.loads(run.out)["results"]["operations"]] == planned, verb
    return run
