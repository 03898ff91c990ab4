"""Status: look at every member, and change nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import gevent
from pyinfra import context
from pyinfra.api import deploy

from etcd_steward import report, status_table
from etcd_steward.backups import backup_folder, kept
from etcd_steward.cli_mode import asks_for_json
from etcd_steward.clusters import cluster_run
from etcd_steward.flannel_status import flannel_status
from etcd_steward.operations import cluster
from etcd_steward.reachability import confirmed
from etcd_steward.run import ClusterRun
from etcd_steward.talk import last_errors

if TYPE_CHECKING:
    from etcd_steward.topology import Member

__all__ = ["status"]


@deploy("status")
def status() -> None:
    """Print one table for the host's cluster, and fail where it is not healthy; nothing is changed."""
    host = context.host
    run = cluster_run(host)
    if run is None:
        host.noop("no member of an etcd cluster")
        return
    problems: dict[str, str] = run.once("status", lambda: _look_and_tell(run))
    cluster.judged(name="Judge the cluster", problem=problems.get(host.name, ""))


def _look_and_tell(run: ClusterRun) -> dict[str, str]:
    sight, now = confirmed(run, run.look(only=True, tell=True)), run.now()
    settings = sight.cluster.settings
    plan = sight.decide()
    # Only of members that are down, side by side.
    jobs = {
        one.host: gevent.spawn(_error_of, run, one, sight.hosts[one.host].init) for one in report.down(sight)
    }
    gevent.joinall(list(jobs.values()))
    errors = {host: job.get() for host, job in jobs.items()}
    verdict = report.examine(sight, plan, now, kept(backup_folder(settings)), errors)
    # With pyinfra's own --json, standard output is its.
    stream = sys.stderr if asks_for_json() else sys.stdout
    overlay = flannel_status(run, sight)
    status_table.show(sight, verdict, now, output=settings.etcd_output, stream=stream, overlay=overlay)
    return verdict.told(sight, run.limited())


def _error_of(run: ClusterRun, member: Member, init: str) -> str:
    try:
        return last_errors(run, member, init)
    except Exception:  # noqa: BLE001 - a host that falls silent meanwhile keeps nobody from being told the rest
        return ""
