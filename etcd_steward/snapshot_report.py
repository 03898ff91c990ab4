"""What status says of snapshots: a backup that died silently is a problem, an old copy here only a note."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from etcd_steward.errors import Complaint
from etcd_steward.snapshots import Manifest, freshness

if TYPE_CHECKING:
    from datetime import datetime

    from etcd_steward.observed import HostState
    from etcd_steward.run import Sight
    from etcd_steward.topology import Member

__all__ = ["latest", "on_controller", "on_hosts"]


def latest(state: HostState) -> Manifest | None:
    """Return a host's latest verified snapshot by its own clock.

    One that claims to come from the future only counts where there is no other: a clock that once ran ahead must not
    hide that snapshots are taken. So does one of a cluster that lived there before: right after a restore it is all
    there is, and the next hour brings one of its own.

    Args:
        state: what the probe told.
    """
    identity = (state.record or {}).get("id")
    own = [one for one in state.snapshots if one.cluster_id == identity] or list(state.snapshots)
    past = [one for one in own if one.seconds <= state.now]
    return max(past or own, key=lambda one: one.seconds, default=None)


def on_hosts(sight: Sight) -> list[Complaint]:
    """Say on which hosts the newest snapshot is too old, or its schedule is missing.

    Args:
        sight: what was seen; hosts that were not reached, or without root's rights, are told of elsewhere.

    Returns:
        A complaint for each; none before the first snapshot is due.
    """
    complaints = []
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        if member.settings.etcd_snapshots and state.reached and state.uid == 0 and state.service.exists:
            complaints += _host(member, state)
    return complaints


def _host(member: Member, state: HostState) -> list[Complaint]:
    settings, found = member.settings, state.schedule
    if found.since is None or not found.enabled or not found.active:
        what = (
            "no schedule of snapshots"
            if found.since is None
            else "a schedule of snapshots that is switched off"
        )
        return [
            Complaint(
                member.host, what, "one that runs", "run deploys/etcd.py, or set etcd_snapshots = False"
            )
        ]
    newest = latest(state)
    judged = freshness(
        newest.seconds if newest else None, state.now, settings.etcd_snapshot_hours, found.since
    )
    if judged.good:
        return []
    told = {
        "none": "no snapshot",
        "old": f"the newest snapshot {judged.age} old",
        "clock": f"a snapshot of the future ({newest.time if newest else ''})",
    }[judged.word]
    job = f"{settings.etcd_service}-snapshot"
    logs = f"journalctl -u {job}" if state.init == "systemd" else f"grep {job} /var/log/messages"
    wanted = f"one at most {settings.etcd_snapshot_hours} h old"
    return [Complaint(member.host, told, wanted, f"look at `{logs}` there")]


def on_controller(sight: Sight, copies: Iterable[Manifest], now: datetime) -> list[str]:
    """Say whether the controller's copies are old; only a note, as nothing is copied here by a schedule.

    Args:
        sight: what was seen.
        copies: the manifests in the controller's folder.
        now: the controller's time.

    Returns:
        Notes.
    """
    cluster, settings = sight.cluster, sight.cluster.settings
    newest = max((one.seconds for one in copies), default=None)
    # Only who has ever made a copy here is told that it has become old.
    if newest is None:
        return []
    # Stamped by a host, judged by the controller: what clocks may differ by is not the future.
    seconds = int(now.timestamp() + settings.etcd_max_skew)
    judged = freshness(newest, seconds, settings.etcd_snapshot_days * 24)
    if judged.good:
        return []
    folder = settings.etcd_backup_dir
    told = f"{judged.age} old" if judged.word == "old" else "of the future (look at the clocks)"
    return [f"{cluster.name}: the newest copy in {folder} is {told}; next: run deploys/backup.py"]
