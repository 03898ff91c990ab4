"""Sees to it that a member has a raft snapshot that 3.7 can start from; asks, and writes a key until etcd makes one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent

from etcd_steward.raft_snapshots import index_of
from etcd_steward.talk import ask, ctl, look_at
from etcd_steward.versions import Version, parse
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.topology import Member

__all__ = ["await_raft_snapshot"]

_KEY = "etcd-steward/gate/raft-snapshot"
# Writes between two looks: with those of the other members a few looks do.
_WRITES = 10


def await_raft_snapshot(run: Converge, member: Member) -> str:
    """Write until a member has a raft snapshot at or above the index that the log has now, when no member is below 3.6.

    Whatever 3.5 wrote lies at or below that index, as nobody who could write more of it runs: so it needs no record of when
    the last member left 3.5, and a member that was taken back to 3.5 in between changes nothing.

    Args:
        run: the run of the cluster; what it saw last is after the last turn.
        member: whose raft snapshots.

    Returns:
        What is in the way; empty where the snapshot is there.
    """
    least, problem = run.once("raft index", lambda: _index(run))
    if problem:
        return str(problem)
    settings = member.settings
    until = time.monotonic() + settings.etcd_timeout
    writes, refused = 0, ""
    while True:
        question = ctl(
            member,
            "guard.sh",
            "raft-snapshot.sh",
            endpoint=member.loopback_url,
            data_dir=settings.etcd_data_dir,
            name=_KEY,
            writes=writes,
        )
        told = dict(
            line.partition(" ")[::2] for line in ask(run.cluster_run, member.host, question, COMMAND_S)
        )
        there = index_of(told.get("snapshot", ""))
        if there >= least:
            run.cluster_run.hosts[member.host].log(f"{member.name} has a raft snapshot at log entry {there}")
            return ""
        refused = told.get("refused", "")
        if time.monotonic() > until:
            break
        writes = _WRITES
        gevent.sleep(0.2)
    why = f", and a write was refused: {refused}" if refused else ""
    return (
        f"found the newest raft snapshot of {member.name} at log entry {there}{why}, wanted one at {least} or above, "
        "as 3.7 panics on what 3.5 wrote behind it; next: set snapshot-count in etcd_config to 50, run deploys/etcd.py, "
        "let clients write for a while, then run again"
    )


def _index(run: Converge) -> tuple[int, str]:
    """Find the index that the log has reached while every member that runs is on 3.6 or later."""
    sight = run.job().sight
    members = sight.cluster.members
    observer = next((one for one in members if sight.hosts[one.host].endpoint.healthy), members[0])
    healthy, _ = look_at(run.cluster_run, observer, {one.name: one.client_url for one in members})
    below = [name for name, status in healthy.items() if parse(status.version) < Version(3, 6, 0)]
    if below or not healthy:
        found = f"{', '.join(below)} below 3.6" if below else "no member that tells its log"
        return 0, f"found {found}, wanted all members on 3.6 or later; next: run again"
    return max(status.index for status in healthy.values()), ""
