"""etcd's own authentication: a snapshot of such a cluster is tried and restored, and a missing user is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.targets import mirror

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

USER, PASSWORD = "etcd-steward", "for-this-test"
CURE = f"etcdctl user add {USER} --no-password && etcdctl user grant-role {USER} root"


@pytest.fixture(params=["3.5.30", mirror.DEFAULT])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_f5_f6_with_authentication_on_the_missing_user_is_named_and_its_snapshots_are_tried_and_restored(
    fresh: Callable[..., Site], version: str
) -> None:
    site = fresh(("debian",), settings={"etcd_version": version})
    site.etcd("-y").succeeded()
    host = site.hosts[0]
    for number in range(9):
        site.put(host, f"key{number}", "value")
    for command in (f"user add root:{PASSWORD}", "user grant-role root root", "auth enable"):
        site.etcdctl(host, *command.split())
    for verb in ("status", "etcd", "backup", "maintain", "upgrade"):
        outcome = site.run("-y", f"deploys/{verb}.py")
        assert outcome.rc != 0, verb
        assert CURE in " ".join(outcome.text.split()), verb
        assert "no quorum" not in outcome.text, verb
    for command in (f"user add {USER} --no-password", f"user grant-role {USER} root"):
        site.etcdctl(host, f"--user=root:{PASSWORD}", *command.split())
    site.run("-y", "deploys/status.py").succeeded()
    site.etcd("-y").unchanged()
    site.run("-y", "deploys/backup.py").succeeded()
    told = site.run("-y", "deploys/drill.py").succeeded().text
    assert "keys were not counted, as etcd's authentication is on" in told
    # From 3.6 on etcdutl hashes without a server, so that nothing is left to be believed.
    assert ("there is no hash to compare" in told) == (version == "3.5.30")
    seen = json.loads(site.run("-y", "--data=etcd_output=json", "deploys/status.py").succeeded().out)
    data = ["--data=etcd_snapshot=newest", f"--data=etcd_restore_over=0x{seen['id']}"]
    told = site.run("-y", *data, "deploys/restore.py").succeeded().text
    assert "9 keys at revision" in told, "the restored cluster knows the user, and is counted"
    site.run("-y", "deploys/status.py").succeeded()
