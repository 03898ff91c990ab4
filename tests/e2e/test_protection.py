"""Where systemd's protection of the service is really in force, as on a server: everything works, and nothing else can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.targets.hosts import PROTECTED_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target


def protected(site: Site, host: Host, path: str) -> bool:
    """Say whether etcd's own view of the file system forbids even root to write a file there."""
    inside = host.run(
        f"nsenter -t {site.pid(host)} -m sh -c 'touch {path}/.tried && rm {path}/.tried'", check=False
    )
    return "ead-only file system" in inside.stderr


def test_every_verb_works_where_the_service_may_write_its_own_folders_only(
    fresh: Callable[..., Site],
) -> None:
    site = fresh(("debian",), settings={"etcd_allow_outage": True}, extra_args=PROTECTED_FLAGS)
    (host,) = site.hosts
    site.etcd("-y").succeeded()
    assert [protected(site, host, path) for path in ("/usr", "/etc", "/var/log", "/var/lib/etcd")] == [
        True,
        True,
        True,
        False,
    ]
    site.put(host, "before", "all verbs")
    site.settings["etcd_config"] = {"heartbeat-interval": 150, "election-timeout": 1500}
    for verb in ("etcd", "backup", "drill", "maintain", "renew", "status"):
        site.run("-y", f"deploys/{verb}.py").succeeded()
    assert site.get(host, "before") == "all verbs"
    site.etcd("-y").unchanged()
