"""Every verb with an etcdctl and an etcdutl that warn in front of every answer: nothing is different."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e import shim
from tests.e2e.conftest import make_site
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
BEFORE = mirror.VERSIONS[[*mirror.VERSIONS].index(mirror.DEFAULT) - 1]


@pytest.fixture(scope="module")
def made(docker_answers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the one cluster of this module; its tests climb with it, in their order."""
    folder = tmp_path_factory.mktemp("warnings")
    with ExitStack() as stack:
        root = shim.prepare(folder / "mirror", BEFORE, mirror.DEFAULT)
        url = stack.enter_context(mirror.serve(root))
        settings = {"etcd_version": BEFORE}
        yield make_site(stack, FAMILIES, "docker", url, str(folder / "cache"), folder, {"settings": settings})


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(made: Site) -> Site:
    targets.SEEN.update(FAMILIES)
    return made


def run(site: Site, verb: str, **data: object) -> str:
    flags = [f"--data={key}={value}" for key, value in data.items()]
    return site.run("-y", *flags, f"deploys/{verb}.py").succeeded().text


def test_a_cluster_is_made_looked_at_and_upgraded_with_tools_that_warn_before_every_answer(
    site: Site,
) -> None:
    site.etcd("-y").succeeded()
    told = site.hosts[0].run("/usr/local/bin/etcdctl version")
    assert "not for production" in told.stderr, "the tools do warn"
    site.etcd("-y").unchanged()
    for number in range(9):
        site.put(site.hosts[0], f"key{number}", "value")
    seen = json.loads(site.run("-y", "--data=etcd_output=json", "deploys/status.py").succeeded().out)
    assert len(seen["members"]) == len(FAMILIES)
    run(site, "backup")
    assert "note:" not in run(site, "drill")
    run(site, "upgrade", etcd_version=mirror.DEFAULT)
    site.settings["etcd_version"] = mirror.DEFAULT
    assert {site.status(host)["version"] for host in site.hosts} == {mirror.DEFAULT}
    site.etcd("-y").unchanged()


def test_snapshots_certificates_and_databases_are_looked_after_with_tools_that_warn(site: Site) -> None:
    site.etcd("-y").succeeded()
    run(site, "backup")
    assert "note:" not in run(site, "drill")
    run(site, "renew", etcd_renew_all="true")
    before = {host.name: site.status(host)["dbSize"] for host in site.hosts}
    run(
        site,
        "maintain",
        etcd_compact="true",
        etcd_compact_keep=1,
        etcd_maintain_fragmentation=0.1,
        etcd_maintain_quota_fraction=0,
    )
    assert all(site.status(host)["dbSize"] <= before[host.name] for host in site.hosts)
    (number,) = site.cluster_ids()
    told = run(site, "restore", etcd_snapshot="newest", etcd_restore_over=f"0x{number:016x}")
    assert "as the manifest says" in told
    assert site.get(site.hosts[0], "key8") == "value"
    run(site, "status")


@pytest.mark.long
def test_members_leave_and_join_and_authorities_are_rotated_with_tools_that_warn(site: Site) -> None:
    site.etcd("-y").succeeded()
    last = site.hosts[-1]
    site.put(site.hosts[0], "kept", "value")
    last.run("systemctl stop etcd; rm -rf /var/lib/etcd/member")
    run(site, "etcd", etcd_replace=last.name)
    assert site.get(last, "kept") == "value"
    run(site, "remove", etcd_member=last.name)
    site.etcd("-y").succeeded()
    assert site.get(last, "kept") == "value"
    run(site, "rotate_ca")
    run(site, "status")


@pytest.mark.long
def test_a_canary_is_taken_back_and_a_client_is_served_with_tools_that_warn(
    fresh: Callable[..., Site], tmp_path: object
) -> None:
    del tmp_path
    site = fresh(FAMILIES)
    with mirror.serve(shim.prepare(site.folder / "mirror", BEFORE, mirror.DEFAULT)) as url:
        site.settings |= {
            "etcd_mirror": url,
            "etcd_version": BEFORE,
            "etcd_cache_dir": str(site.folder / "archives"),
        }
        site.etcd("-y").succeeded()
        canary = site.hosts[1]
        data = f"--data=etcd_version={mirror.DEFAULT}"
        site.run("-y", data, f"--limit={site.name(canary)}", "deploys/upgrade.py").succeeded()
        assert site.status(canary)["version"] == mirror.DEFAULT
        run(site, "upgrade", etcd_rollback="true")
        assert {site.status(host)["version"] for host in site.hosts} == {BEFORE}
        app = site.lab.start({"app": "alpine"})[0]
        site.add_client(app, etcd_client_dir="/etc/app/etcd", etcd_client_name="app-1")
        run(site, "clients")
        site.run("-y", "deploys/clients.py").unchanged()
